package mcp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	mathrand "math/rand/v2"
	"strings"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// Outcomes of a call in the audit trail.
const (
	outcomeOK        = "ok"
	outcomeToolError = "tool_error"
	outcomeUpstream  = "upstream_error"
	outcomeCanceled  = "canceled"
	outcomeInput     = "input_required" // the client was asked first; its next request goes on
)

// maxRecordedTool is twice what is kept, so that a token that stands across the
// end of it is seen, and taken out, as a whole.
const maxRecordedTool = 512

// newReference is 16 random characters that lead from a denial to its record.
func newReference() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

func (g *Gateway) recordDenial(ctx context.Context, r *request, v verdict, ref string) {
	g.counters.decided(v, v.decision.Reason())
	e := g.entryOf(r, v)
	e.Kind, e.Decision, e.Ref = "decision", "deny", ref
	if v.class == classCall || v.class == classTask {
		_, rules := v.who.Grant().Explain(r.narrowing.session, v.tool, v.at)
		e.Detail = wire.RequestDetail(append(rules, v.arguments.Explain()...), keptArguments(r))
	}
	keepShadow(&e, v)
	g.record(ctx, e)
}

func (g *Gateway) recordCall(ctx context.Context, r *request, v verdict, outcome string, took time.Duration) {
	g.counters.called(outcome, took)
	if outcome == outcomeOK && v.shadow == nil && r.approval == nil && g.skips() {
		g.counters.unsampled.Add(1)
		return
	}
	e := g.entryOf(r, v)
	e.Kind, e.Decision, e.Outcome, e.Latency = "call", "allow", outcome, took.Truncate(time.Microsecond)
	e.Time = e.Time.Add(e.Latency)
	if arguments := keptArguments(r); arguments != nil {
		e.Detail = wire.RequestDetail(nil, arguments)
	}
	if r.approval != nil {
		e.Detail = wire.WithApproval(e.Detail, r.approval.id)
	}
	keepShadow(&e, v)
	g.record(ctx, e)
}

// skips draws whether a call that went well stays out of the trail. Each call is
// drawn for by itself, so that a client can't tell, nor choose, which are recorded.
func (g *Gateway) skips() bool {
	return g.cfg.AuditSkip > 0 && mathrand.Float64() < g.cfg.AuditSkip
}

// entryOf is what is recorded of a verdict, whatever came of it. All that it
// depended on is in it or in the trail's changes up to its epoch, but for what the
// session gave up, so that it can be made again: the time is that of the decision,
// to which a call adds how long it took.
func (g *Gateway) entryOf(r *request, v verdict) keys.AuditEntry {
	key := v.who.Key()
	e := keys.AuditEntry{
		TenantID: v.who.TenantID(), Time: v.at.UTC().Truncate(time.Microsecond), Action: r.msg.method,
		Actor: v.who.Actor(), KeyID: key.ID, KeyVersion: key.Version,
		Client: r.client, Epoch: v.who.Epoch(), Failed: []string{}, Seen: v.seen(),
	}
	if !v.decision.Allowed() {
		e.Failed = failedRules(v.decision)
	}
	if v.class == classCall || v.class == classTask {
		e.Tool = truncated(v.target.name, maxRecordedTool)
		e.ArgsDigest = hexDigest(r.msg.digested())
	}
	if v.tool != nil {
		e.Subject = v.tool.ID
		if v.class == classTask {
			e.Tool = truncated(v.tool.Name, maxRecordedTool)
		}
	}
	return e
}

// seen is what the decision saw of the tool. What was allowed was decided as what
// its entry is; a denied uri may have been decided as something else than the
// template that it fits.
func (v verdict) seen() string {
	switch {
	case v.class != classCall && v.class != classTask:
		return keys.SeenKeyAlone
	case v.entry != nil && v.entry.seen != "" && v.decision.Allowed():
		return v.entry.seen
	}
	return keys.SeenOf(v.tool)
}

// keptArguments are those of a tool's call whose tenant has them kept in its trail;
// nil = none.
func keptArguments(r *request) json.RawMessage {
	if !r.principal.AuditsArguments() || r.msg.method != string(mcpgo.MethodToolsCall) {
		return nil
	}
	return r.msg.arguments
}

// hexDigest is the SHA-256 in hexadecimal digits.
func hexDigest(b []byte) string {
	sum := sha256.Sum256(b)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// record takes an entry whether or not its client still waits.
func (g *Gateway) record(_ context.Context, e keys.AuditEntry) {
	if err := g.svc.Record(context.Background(), e); err != nil {
		g.log.Error("an audit record was lost", zap.String("action", e.Action), zap.String("actor", e.Actor), zap.Error(err))
	}
}

// toolSaid is the canonical id of what a request names, as it may be logged: a uri
// is what a client makes it.
func toolSaid(v verdict) string { return keys.WithoutToken(v.tool.ID) }

// truncated cuts to at most n characters.
func truncated(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
