package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// AuditSigner signs and checks the ends and cuts of audit chains under keys of
// the root secret, which whoever can write to the database alone has not. A nil
// one signs nothing and checks nothing.
type AuditSigner struct {
	current int
	keys    map[int][]byte // by the root secret's version
}

// What an AuditSigner finds wrong.
var (
	ErrAuditUnsigned = errors.New("it is not signed")
	ErrAuditForged   = errors.New("its signature is not one of this root secret")
	ErrAuditVersion  = errors.New("it is signed under a version of the root secret that is not at hand")
)

// NewAuditSigner makes the signer of a root secret and its old versions.
func NewAuditSigner(root RootSecret) (*AuditSigner, error) {
	if err := root.check(); err != nil {
		return nil, err
	}
	s := &AuditSigner{current: root.current(), keys: map[int][]byte{}}
	for _, v := range root.versions() {
		value, _ := root.at(v)
		s.keys[v] = expand(value, "mac audit chain")
	}
	return s, nil
}

// Check checks the signature of a chain's end.
func (s *AuditSigner) Check(c AuditChain) error {
	return s.check("head", c.ID(), c.Seq, c.Hash, c.MAC)
}

// CheckCut checks the signature of where a chain was cut, if it was.
func (s *AuditSigner) CheckCut(c AuditChain) error {
	if c.CutSeq == 0 && c.CutHash == "" {
		return nil
	}
	return s.check("cut", c.ID(), c.CutSeq, c.CutHash, c.CutMAC)
}

// Cut is the chain, cut after the entry with a number and hash.
func (s *AuditSigner) Cut(c AuditChain, seq int64, hash string) AuditChain {
	c.CutSeq, c.CutHash, c.CutMAC = seq, hash, s.sign("cut", c.ID(), seq, hash)
	return c
}

// sign is "<version>:<HMAC-SHA-256 in hexadecimal digits>".
func (s *AuditSigner) sign(what string, id AuditChainID, seq int64, hash string) string {
	if s == nil {
		return ""
	}
	return strconv.Itoa(s.current) + ":" + hex.EncodeToString(s.mac(s.current, what, id, seq, hash))
}

func (s *AuditSigner) check(what string, id AuditChainID, seq int64, hash, mac string) error {
	if s == nil {
		return nil
	}
	if mac == "" {
		return ErrAuditUnsigned
	}
	number, digits, _ := strings.Cut(mac, ":")
	version, err := strconv.Atoi(number)
	if err != nil || version < 1 || version > maxRootVersion {
		return ErrAuditForged
	}
	if s.keys[version] == nil {
		return fmt.Errorf("%w (version %d)", ErrAuditVersion, version)
	}
	sum, err := hex.DecodeString(digits)
	if err != nil || !hmac.Equal(sum, s.mac(version, what, id, seq, hash)) {
		return ErrAuditForged
	}
	return nil
}

func (s *AuditSigner) mac(version int, what string, id AuditChainID, seq int64, hash string) []byte {
	var buf []byte
	for _, text := range []string{"bailiwick audit " + what + " 1", id.TenantID, id.Writer, strconv.FormatInt(seq, 10), hash} {
		buf = appendNetstring(buf, text)
	}
	mac := hmac.New(sha256.New, s.keys[version])
	_, _ = mac.Write(buf)
	return mac.Sum(nil)
}
