package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var lineEnd = []byte{'\n'}

const crcDigits = 2 * crc32.Size

// line is an entry on disk. Detail is bytes, so that no entry fails to be encoded.
type line struct {
	ID         string    `json:"id"`
	TenantID   string    `json:"tenant"`
	Time       time.Time `json:"time"`
	Kind       string    `json:"kind"`
	Action     string    `json:"action,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	KeyID      string    `json:"key,omitempty"`
	KeyVersion int64     `json:"keyVersion,omitempty"`
	Subject    string    `json:"subject,omitempty"`
	Tool       string    `json:"tool,omitempty"`
	Decision   string    `json:"decision,omitempty"`
	Failed     []string  `json:"failed"`
	Seen       string    `json:"seen,omitempty"`
	Ref        string    `json:"ref,omitempty"`
	ArgsDigest string    `json:"argsDigest,omitempty"`
	Outcome    string    `json:"outcome,omitempty"`
	Latency    int64     `json:"latencyNs,omitempty"`
	Client     string    `json:"client,omitempty"`
	Epoch      int64     `json:"epoch,omitempty"`
	Detail     []byte    `json:"detail,omitempty"`
}

func newLine(e *keys.AuditEntry) line {
	return line{
		ID: e.ID, TenantID: e.TenantID, Time: e.Time, Kind: e.Kind, Action: e.Action, Actor: e.Actor, KeyID: e.KeyID,
		KeyVersion: e.KeyVersion, Subject: e.Subject, Tool: e.Tool, Decision: e.Decision, Failed: e.Failed, Seen: e.Seen, Ref: e.Ref,
		ArgsDigest: e.ArgsDigest, Outcome: e.Outcome, Latency: int64(e.Latency), Client: e.Client, Epoch: e.Epoch, Detail: e.Detail,
	}
}

func (l *line) entry() keys.AuditEntry {
	return keys.AuditEntry{
		ID: l.ID, TenantID: l.TenantID, Time: l.Time, Kind: l.Kind, Action: l.Action, Actor: l.Actor, KeyID: l.KeyID,
		KeyVersion: l.KeyVersion, Subject: l.Subject, Tool: l.Tool, Decision: l.Decision, Failed: l.Failed, Seen: l.Seen, Ref: l.Ref,
		ArgsDigest: l.ArgsDigest, Outcome: l.Outcome, Latency: time.Duration(l.Latency), Client: l.Client, Epoch: l.Epoch, Detail: l.Detail,
	}
}

// appendLine appends the entry's line, its end included.
func appendLine(to []byte, e *keys.AuditEntry) ([]byte, error) {
	text, err := json.Marshal(newLine(e))
	if err != nil {
		return to, fmt.Errorf("encoding audit entry %s: %w", e.ID, err)
	}
	to = fmt.Appendf(to, "%08x ", crc32.Checksum(text, castagnoli))
	return append(append(to, text...), '\n'), nil
}

// readLine reads a line with its end; ok is false for one that is torn or damaged.
func readLine(raw []byte) (e keys.AuditEntry, ok bool) {
	text, ok := checkLine(raw)
	var l line
	if !ok || json.Unmarshal(text, &l) != nil {
		return e, false
	}
	return l.entry(), true
}

// checkLine answers the JSON of a line that is whole.
func checkLine(raw []byte) (text []byte, ok bool) {
	text, ended := bytes.CutSuffix(raw, lineEnd)
	if !ended || len(text) <= crcDigits+1 || text[crcDigits] != ' ' {
		return nil, false
	}
	var sum [crc32.Size]byte
	if _, err := hex.Decode(sum[:], text[:crcDigits]); err != nil {
		return nil, false
	}
	text = text[crcDigits+1:]
	return text, crc32.Checksum(text, castagnoli) == binary.BigEndian.Uint32(sum[:])
}
