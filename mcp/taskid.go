package mcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const (
	taskIDFormat  = 1    // first byte of an id
	maxTaskID     = 4096 // characters of an id that is tried
	maxUpstreamID = 1024 // bytes of an upstream's own id
)

// taskRef is what a task's id says, to the gateway alone.
type taskRef struct {
	era      era    // of the client and the upstream, which are of one
	born     int64  // createdAt in Unix seconds
	instance string // id
	tool     string // canonical id
	id       string // the upstream's own
}

// taskIDs makes and opens the ids of tasks that clients get. All keys of a tenant
// share one connection to an upstream, so the upstream's own ids say nothing of
// whose a task is. Ours does: it is a sealed taskRef (AES-256-GCM) with the tenant
// and the principal as associated data, so that it opens for nobody else and on
// every replica, without a table. The nonce is a MAC over all that is sealed, as in
// a synthetic IV (RFC 5297): one task has one id, however often it is made, and two
// have never the same nonce.
type taskIDs struct {
	seal  cipher.AEAD
	nonce []byte // MAC key
}

func newTaskIDs(svc *keys.Service) *taskIDs {
	block, err := aes.NewCipher(svc.MACKey("mcp task id"))
	if err != nil { // 32 bytes always make one
		panic(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &taskIDs{seal: seal, nonce: svc.MACKey("mcp task id nonce")}
}

// id is the id of a task of this principal's.
func (t *taskIDs) id(p keys.Principal, ref taskRef) string {
	owner, plain := ownerOf(p), ref.encode()
	nonce := t.nonceOf(owner, plain)
	out := append([]byte{taskIDFormat}, nonce...)
	return base64.RawURLEncoding.EncodeToString(t.seal.Seal(out, nonce, plain, owner))
}

// open is what an id says; nil when it is none, or another principal's.
func (t *taskIDs) open(p keys.Principal, id string) *taskRef {
	head := 1 + t.seal.NonceSize()
	if len(id) > maxTaskID {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(id)
	switch {
	case err != nil, len(raw) < head, raw[0] != taskIDFormat:
		return nil
	case base64.RawURLEncoding.EncodeToString(raw) != id: // another spelling
		return nil
	}
	owner := ownerOf(p)
	plain, err := t.seal.Open(nil, raw[1:head], raw[head:], owner)
	if err != nil || !hmac.Equal(raw[1:head], t.nonceOf(owner, plain)) {
		return nil
	}
	return decodeTask(plain)
}

func (t *taskIDs) nonceOf(owner, plain []byte) []byte {
	h := hmac.New(sha256.New, t.nonce)
	_, _ = h.Write(appendText(nil, string(owner)))
	_, _ = h.Write(plain)
	return h.Sum(nil)[:t.seal.NonceSize()]
}

// ownerOf names a principal beyond confusion.
func ownerOf(p keys.Principal) []byte { return appendText(appendText(nil, p.TenantID()), p.ID()) }

func (r *taskRef) encode() []byte {
	b := binary.AppendVarint([]byte{byte(r.era)}, r.born)
	return append(appendText(appendText(b, r.instance), r.tool), r.id...)
}

func decodeTask(b []byte) *taskRef {
	if len(b) == 0 {
		return nil
	}
	r := &taskRef{era: era(b[0])}
	born, n := binary.Varint(b[1:])
	if n <= 0 {
		return nil
	}
	r.born = born
	rest, ok := b[1+n:], true
	for _, into := range []*string{&r.instance, &r.tool} {
		if *into, rest, ok = cutText(rest); !ok {
			return nil
		}
	}
	r.id = string(rest)
	return r
}
