package wire

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// AuditEvent is one line of the audit trail as answered.
type AuditEvent struct {
	ID         string          `json:"id"`
	Time       time.Time       `json:"time"`
	Kind       string          `json:"kind"`
	Action     string          `json:"action"`
	Actor      string          `json:"actor"`
	KeyID      *string         `json:"keyId"`
	KeyVersion *int64          `json:"keyVersion"`
	Subject    *string         `json:"subject"`
	Tool       *string         `json:"tool"`
	Decision   *string         `json:"decision"`
	Failed     []string        `json:"failed"`
	Ref        *string         `json:"ref"`
	ArgsDigest *string         `json:"argsDigest"`
	Outcome    *string         `json:"outcome"`
	LatencyMS  *float64        `json:"latencyMs"`
	Client     *string         `json:"client"`
	Epoch      int64           `json:"epoch"`
	Detail     json.RawMessage `json:"detail"`
}

// AuditPage is one page of the audit trail, newest first; Next is the cursor
// of the following one, null at the end.
type AuditPage struct {
	Events []AuditEvent `json:"events"`
	Next   *string      `json:"next"`
}

// AuditEventOf is the wire form of an audit entry.
func AuditEventOf(e keys.AuditEntry) AuditEvent {
	out := AuditEvent{
		ID: e.ID, Time: e.Time, Kind: e.Kind, Action: e.Action, Actor: e.Actor,
		KeyID: optional(e.KeyID), Subject: optional(e.Subject), Tool: optional(e.Tool),
		Decision: optional(e.Decision), Failed: list(e.Failed), Ref: optional(e.Ref),
		ArgsDigest: optional(e.ArgsDigest), Outcome: optional(e.Outcome), Client: optional(e.Client),
		Epoch: e.Epoch, Detail: sorted(e.Detail),
	}
	if e.KeyID != "" {
		out.KeyVersion = &e.KeyVersion
	}
	if e.Latency != 0 {
		ms := float64(e.Latency.Microseconds()) / 1000
		out.LatencyMS = &ms
	}
	return out
}

// sorted is JSON with the members of its objects by name: stores that keep
// jsonb have an order of their own.
func sorted(text json.RawMessage) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if len(text) == 0 || decoder.Decode(&value) != nil {
		return json.RawMessage("null")
	}
	var out bytes.Buffer
	_ = WriteJSON(&out, value) // what was decoded can be encoded
	return out.Bytes()
}

// AuditPageOf is the wire form of one page of at most limit entries; one more
// tells that there is a next page.
func AuditPageOf(entries []keys.AuditEntry, limit int) AuditPage {
	var next *string
	if len(entries) > limit {
		entries = entries[:limit]
		next = &entries[limit-1].ID
	}
	return AuditPage{Events: each(entries, AuditEventOf), Next: next}
}
