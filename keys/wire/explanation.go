package wire

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Explanation is a decision with every rule that was evaluated. Rules that are
// new come at the end of the list, or between others: it is to be read by name.
type Explanation struct {
	Decision string       `json:"decision" doc:"The outcome." enum:"allow,deny" example:"deny"`
	Reason   *string      `json:"reason" doc:"The first failing rule; null when allowed." example:"readonly"`
	Failed   []string     `json:"failed" doc:"All failing rules, in order." example:"[\"readonly\"]"`
	Rules    []RuleResult `json:"rules" doc:"Every rule that was evaluated, in order."`
	Basis
	CatalogVersion *string `json:"catalogVersion" doc:"Which catalog was asked: of equal ones equal. Null in a decision of the audit trail." example:"9f86d081884c7d65"`
}

// Basis is what decisions were made of.
type Basis struct {
	KeyID      *string   `json:"keyId" doc:"The key; null of a JWT's subject, and of a key that there is not yet." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyVersion *int64    `json:"keyVersion" doc:"The key's version then." minimum:"1" example:"42"`
	Epoch      int64     `json:"epoch" doc:"The edit as of which it was decided." minimum:"0" example:"42"`
	At         time.Time `json:"at" doc:"The time as of which it was decided; it matters to a key that expires." example:"2026-01-31T12:00:00Z"`
}

func basisOf(st *keys.Standing) Basis {
	return basis(st.Key.ID, st.Key.Version, st.Epoch, st.At)
}

func basis(keyID string, version, epoch int64, at time.Time) Basis {
	b := Basis{KeyID: optional(keyID), Epoch: epoch, At: at.UTC()}
	if keyID != "" {
		b.KeyVersion = &version
	}
	return b
}

// RuleResult is one rule of a decision.
type RuleResult struct {
	Rule     string  `json:"rule" doc:"The rule." example:"readonly"`
	OK       bool    `json:"ok" doc:"Whether it holds." example:"false"`
	Observed string  `json:"observed" doc:"What it saw, in words." example:"mcpReadOnly is true, effect write"`
	Pattern  *string `json:"pattern" doc:"The pattern of the allowlist that decided." example:"null"`
}

// ExplanationOf is what a key may do with one thing, by its exposed name or
// canonical id.
func ExplanationOf(st *keys.Standing, o keys.Offer, name string) Explanation {
	d, rules := st.Explain(o.Find(name))
	out := Explanation{Rules: each(rules, ruleResultOf), Basis: basisOf(st), CatalogVersion: &o.Version}
	out.Decision, out.Reason, out.Failed = verdict(d)
	return out
}

func verdict(d policy.Decision) (decision string, reason *string, failed []string) {
	failed = []string{}
	for _, r := range d.Failed() {
		failed = append(failed, r.String())
	}
	if d.Allowed() {
		return "allow", nil, failed
	}
	first := d.Reason().String()
	return "deny", &first, failed
}

func ruleResultOf(r policy.RuleResult) RuleResult {
	return RuleResult{Rule: r.Rule.String(), OK: r.OK, Observed: r.Observed, Pattern: optional(r.Pattern)}
}

// requestDetail is what the audit entry of a request keeps beside its own fields:
// of a denial the rules, those that held too, and the arguments.
type requestDetail struct {
	Rules            []RuleResult    `json:"rules,omitzero"`
	Arguments        json.RawMessage `json:"arguments,omitzero"`
	ArgumentsOmitted bool            `json:"argumentsOmitted,omitzero"`
}

// maxArguments are the bytes of JSON, as received and as written anew, up to which
// an audit entry keeps arguments.
const maxArguments = 16 << 10

// RequestDetail is the detail of a call's or a denial's audit entry: every rule as
// it was evaluated then (nil = of none), and the arguments (nil = none are kept).
// They are an object, any; above 16 KiB, argumentsOmitted stands for them. They are
// written anew, for a token is only found in a text without escapes, which the store
// would write out. nil = no detail.
func RequestDetail(rules []policy.RuleResult, arguments json.RawMessage) json.RawMessage {
	var detail requestDetail
	if rules != nil {
		detail.Rules = each(rules, ruleResultOf)
	}
	if detail.ArgumentsOmitted = len(arguments) > maxArguments; !detail.ArgumentsOmitted {
		canonical, err := keys.CanonicalJSON(arguments)
		if detail.ArgumentsOmitted = err != nil || len(canonical) > maxArguments; !detail.ArgumentsOmitted {
			detail.Arguments = canonical
		}
	}
	if detail.Rules == nil && detail.Arguments == nil && !detail.ArgumentsOmitted {
		return nil
	}
	var raw bytes.Buffer
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false) // it makes six bytes of one
	if err := encoder.Encode(detail); err != nil {
		return nil // of texts, flags and JSON it never fails
	}
	return bytes.TrimSpace(raw.Bytes())
}

// RecordedDecision is the wire form of a decision in the audit trail.
func RecordedDecision(e keys.AuditEntry) Explanation {
	var detail requestDetail
	_ = json.Unmarshal(e.Detail, &detail) // an entry without the rules has no list of them
	out := Explanation{Decision: e.Decision, Failed: list(e.Failed), Rules: list(detail.Rules),
		Basis: basis(e.KeyID, e.KeyVersion, e.Epoch, e.Time)}
	if len(e.Failed) > 0 {
		out.Reason = &e.Failed[0]
	}
	return out
}
