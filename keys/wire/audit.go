package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// AuditEvent is one line of the audit trail as answered.
type AuditEvent struct {
	ID         string          `json:"id" doc:"The event's id; ids grow with time." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Time       time.Time       `json:"time" doc:"When it happened." example:"2026-01-31T12:00:00Z"`
	Kind       string          `json:"kind" doc:"A decision that denied, a call that passed, or a change." enum:"decision,call,change" example:"decision"`
	Action     string          `json:"action" doc:"What was asked for." example:"tools/call"`
	Actor      string          `json:"actor" doc:"Who asked: a key's id, operator, or a JWT's subject." example:"operator"`
	KeyID      *string         `json:"keyId" doc:"The key that asked; null for the operator." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyVersion *int64          `json:"keyVersion" doc:"The version of that key then." example:"42"`
	Subject    *string         `json:"subject" doc:"The id of what was changed, or the tool as <instance>/<name>." example:"notes/delete_note"`
	Tool       *string         `json:"tool" doc:"The tool, by the name that was asked for." maxLength:"256" example:"notes__delete_note"`
	Decision   *string         `json:"decision" doc:"How it was decided." enum:"allow,deny" example:"deny"`
	Failed     []string        `json:"failed" doc:"Every rule that failed; the first is the reason." example:"[\"readonly\"]"`
	Ref        *string         `json:"ref" doc:"The reference that the denial carried." example:"k3v7q2m5w4xa6bzc"`
	ArgsDigest *string         `json:"argsDigest" doc:"SHA-256 of the arguments as received, in hexadecimal." example:"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"`
	Outcome    *string         `json:"outcome" doc:"How the call ended; input_required: with questions to the client, whose next request goes on." enum:"ok,tool_error,upstream_error,input_required,canceled" example:"null"`
	LatencyMS  *float64        `json:"latencyMs" doc:"How long the call took, in milliseconds." example:"null"`
	Client     *string         `json:"client" doc:"The client's name and version, as it says." example:"claude-code/2.1.0"`
	Epoch      int64           `json:"epoch" doc:"The edit as of which it was decided, or the edit itself." example:"42"`
	Detail     json.RawMessage `json:"detail" doc:"Of a change, the fields before and after; of a denial, every rule; of a tool call, its arguments where the tenant has them kept, or argumentsOmitted where they are above 16 KiB; of a call that the key's draft policy would have decided otherwise, its shadow: the draft's decision (deny, allow, approval, error) and its failed rules." example:"null"`
	Seen       json.RawMessage `json:"seen" doc:"What a decision over MCP saw of the tool: category, effect, instanceId, projectId, projectPointer, writeEnabled, permission, quarantined, each where it has one; unknown where the catalog had no such tool; empty where it was about the key alone. null of all else, and of before it was recorded." example:"{\"category\":\"tools\",\"effect\":\"destructive\",\"instanceId\":\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\",\"writeEnabled\":true}"`
	TenantID   string          `json:"tenantId" doc:"The tenant whose trail it is in." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Writer     *string         `json:"writer" doc:"Whose chain it is in: edits, or a server process; null of before there were chains." example:"edits"`
	Seq        *int64          `json:"seq" doc:"Its number in the chain, from 1." example:"42"`
	Hash       *string         `json:"hash" doc:"SHA-256 over the hash before it in the chain and its own fields, in hexadecimal." example:"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"`
}

// AuditPage is one page of the audit trail; Next is the cursor
// of the following one, null at the end.
type AuditPage struct {
	Events []AuditEvent `json:"events" doc:"The events, newest first or as order says."`
	Next   *string      `json:"next" doc:"The cursor of the next page; null is the end." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
}

// AuditEventOf is the wire form of an audit entry.
func AuditEventOf(e keys.AuditEntry) AuditEvent {
	out := AuditEvent{
		ID: e.ID, Time: e.Time, Kind: e.Kind, Action: e.Action, Actor: e.Actor,
		KeyID: optional(e.KeyID), Subject: optional(e.Subject), Tool: optional(e.Tool),
		Decision: optional(e.Decision), Failed: list(e.Failed), Ref: optional(e.Ref),
		ArgsDigest: optional(e.ArgsDigest), Outcome: optional(e.Outcome), Client: optional(e.Client),
		Epoch: e.Epoch, Detail: sorted(e.Detail), Seen: sorted(json.RawMessage(e.Seen)),
		TenantID: e.TenantID, Writer: optional(e.Writer), Hash: optional(e.Hash),
	}
	if e.Seq != 0 {
		out.Seq = &e.Seq
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

// Entry is the audit entry of a wire form, with all that its hash is over.
func (a *AuditEvent) Entry() keys.AuditEntry {
	e := keys.AuditEntry{
		ID: a.ID, TenantID: a.TenantID, Time: a.Time, Kind: a.Kind, Action: a.Action, Actor: a.Actor,
		KeyID: value(a.KeyID), KeyVersion: value(a.KeyVersion), Subject: value(a.Subject), Tool: value(a.Tool),
		Decision: value(a.Decision), Failed: a.Failed, Ref: value(a.Ref), ArgsDigest: value(a.ArgsDigest),
		Outcome: value(a.Outcome), Client: value(a.Client), Epoch: a.Epoch, Detail: a.Detail,
		Writer: value(a.Writer), Seq: value(a.Seq), Hash: value(a.Hash),
	}
	seen, err := keys.CanonicalJSON(a.Seen)
	if err != nil {
		seen = a.Seen // what is no JSON was never hashed so
	}
	e.Seen = string(seen)
	e.Latency = time.Duration(math.Round(value(a.LatencyMS)*1000)) * time.Microsecond
	return e
}

// value is what a pointer leads to, or the zero value.
func value[V any](p *V) (v V) {
	if p != nil {
		v = *p
	}
	return v
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
