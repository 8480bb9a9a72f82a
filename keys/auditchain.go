package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// EditsWriter is whose entries those of edits are, in each tenant and from
// whichever process: edits are serialized, so their entries are one chain.
const EditsWriter = "edits"

// AuditChain is where the chain of one writer's entries in one tenant ends, and
// where retention has cut it. Its entries are numbered from 1; each one's hash
// is over that of the one before.
type AuditChain struct {
	TenantID string
	Writer   string

	Seq  int64  // of the last entry
	Hash string // of the last entry
	MAC  string // of these, by AuditSigner; "" = not signed

	CutSeq  int64 // of the last entry that retention took away; 0 = none
	CutHash string
	CutMAC  string
}

// AuditCut is a cut of a chain, which it has from then on: CutSeq, CutHash and
// CutMAC are the new ones, From is the CutSeq of before.
type AuditCut struct {
	AuditChain
	From int64
}

// AuditChainID tells chains apart.
type AuditChainID struct{ TenantID, Writer string }

// ID is whose chain it is.
func (c AuditChain) ID() AuditChainID { return AuditChainID{c.TenantID, c.Writer} }

// Chain is the one that the entry belongs to.
func (e *AuditEntry) Chain() AuditChainID { return AuditChainID{e.TenantID, e.Writer} }

// Chained is false of an entry from before there were chains.
func (e *AuditEntry) Chained() bool { return e.Seq != 0 || e.Writer != "" || e.Hash != "" }

// LinkAudit numbers and hashes entries (as they are Stored), in order, after
// the chains' last ones, and answers the chains that have grown, in the order
// of their first entry. A chain that is not among those given is new. The new
// end is signed if the old one was, so that nobody gets a signature for an end
// that he wrote himself. It is pure: stores do it within the transaction that
// writes the entries.
func LinkAudit(signer *AuditSigner, chains map[AuditChainID]AuditChain, entries []AuditEntry) []AuditChain {
	var order []AuditChainID
	grown := map[AuditChainID]*AuditChain{}
	for i := range entries {
		e := &entries[i]
		id := e.Chain()
		c := grown[id]
		if c == nil {
			before, there := chains[id]
			if !there {
				before = AuditChain{TenantID: id.TenantID, Writer: id.Writer}
			}
			c = &before
			grown[id], order = c, append(order, id)
			if there && signer.Check(before) != nil {
				c.MAC = unsigned
			}
		}
		c.Seq++
		e.Seq = c.Seq
		e.Hash = AuditHash(c.Hash, e)
		c.Hash = e.Hash
	}
	out := make([]AuditChain, len(order))
	for i, id := range order {
		c := grown[id]
		if c.MAC != unsigned {
			c.MAC = signer.sign("head", id, c.Seq, c.Hash)
		} else {
			c.MAC = ""
		}
		out[i] = *c
	}
	return out
}

const unsigned = "-" // in LinkAudit alone

// AuditHash is the hash of an entry (as it is Stored) after the one with the
// given hash, "" for the first: SHA-256, in hexadecimal digits, over the
// netstrings of
//
//	"bailiwick audit 1", hash before, tenant id, writer, number, id, time,
//	kind, action, actor, key id, key version, subject, tool, decision, failed,
//	ref, arguments' digest, outcome, latency, client, epoch, detail, seen
//
// Without seen there is no netstring of it: entries of before have none.
// A netstring is the length in bytes in decimal digits, ":", the bytes, ",".
// Numbers are in decimal digits; the time is microseconds since 1970-01-01 UTC,
// the latency microseconds; failed is the netstrings of its rules one after the
// other; detail is as CanonicalJSON, empty without one.
func AuditHash(before string, e *AuditEntry) string {
	detail, err := CanonicalJSON(e.Detail)
	if err != nil {
		detail = e.Detail // what is no JSON was never hashed so; no entry has this hash
	}
	buf := make([]byte, 0, 1024+len(detail))
	text := func(s string) { buf = appendNetstring(buf, s) }
	var digits [20]byte
	number := func(n int64) { buf = appendNetstring(buf, strconv.AppendInt(digits[:0], n, 10)) }
	text("bailiwick audit 1")
	text(before)
	text(e.TenantID)
	text(e.Writer)
	number(e.Seq)
	text(e.ID)
	number(e.Time.UnixMicro())
	for _, s := range [...]string{e.Kind, e.Action, e.Actor, e.KeyID} {
		text(s)
	}
	number(e.KeyVersion)
	text(e.Subject)
	text(e.Tool)
	text(e.Decision)
	var failed []byte
	for _, rule := range e.Failed {
		failed = appendNetstring(failed, rule)
	}
	buf = appendNetstring(buf, failed)
	text(e.Ref)
	text(e.ArgsDigest)
	text(e.Outcome)
	number(e.Latency.Microseconds())
	text(e.Client)
	number(e.Epoch)
	buf = appendNetstring(buf, detail)
	if e.Seen != "" {
		text(e.Seen)
	}
	sum := sha256.Sum256(buf)
	var out [2 * sha256.Size]byte
	hex.Encode(out[:], sum[:])
	return string(out[:])
}

// appendNetstring frames a text, so that no two rows of texts look alike.
func appendNetstring[T ~string | ~[]byte](buf []byte, text T) []byte {
	buf = strconv.AppendInt(buf, int64(len(text)), 10)
	buf = append(buf, ':')
	buf = append(buf, text...)
	return append(buf, ',')
}
