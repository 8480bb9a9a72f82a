package wire

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Matrix is what a key may do with everything on offer.
type Matrix struct {
	Basis
	CatalogVersion string        `json:"catalogVersion" doc:"Which catalog was asked: of equal ones equal." example:"9f86d081884c7d65"`
	Summary        Summary       `json:"summary" doc:"How many."`
	Tools          []ToolVerdict `json:"tools" doc:"Everything on offer: tools, prompts, resources and templates, each kind by name."`
}

// Summary counts what is allowed and what is denied.
type Summary struct {
	Allowed int `json:"allowed" doc:"How many are allowed." minimum:"0" example:"12"`
	Denied  int `json:"denied" doc:"How many are denied." minimum:"0" example:"30"`
}

// Offered is one thing on offer.
type Offered struct {
	Kind     string        `json:"kind" doc:"What it is." enum:"tool,prompt,resource,template" example:"tool"`
	ID       string        `json:"id" doc:"Its canonical id: <instance>/<name or uri>, or bailiwick/<name>." example:"notes/read_note"`
	Name     string        `json:"name" doc:"Its name as listed." example:"notes__read_note"`
	Category string        `json:"category" doc:"Its category." example:"tools"`
	Effect   policy.Effect `json:"effect" doc:"What it may do at most; all but tools read." example:"read"`
}

// ToolVerdict is a thing on offer, and what is decided of it.
type ToolVerdict struct {
	Offered
	Decision string   `json:"decision" doc:"The outcome." enum:"allow,deny" example:"deny"`
	Reason   *string  `json:"reason" doc:"The first failing rule; null when allowed." example:"readonly"`
	Failed   []string `json:"failed" doc:"All failing rules, in order." example:"[\"readonly\"]"`
}

// MatrixOf is what a key may do with everything on offer.
func MatrixOf(st *keys.Standing, o keys.Offer) Matrix {
	verdicts := st.Verdicts(o)
	return Matrix{Basis: basisOf(st), CatalogVersion: o.Version, Summary: summaryOf(verdicts), Tools: each(verdicts, toolVerdictOf)}
}

func toolVerdictOf(v keys.Verdict) ToolVerdict {
	out := ToolVerdict{Offered: offeredOf(v)}
	out.Decision, out.Reason, out.Failed = verdict(v.Decision)
	return out
}

func offeredOf(v keys.Verdict) Offered {
	return Offered{Kind: v.Kind, ID: v.Tool.ID, Name: v.Tool.Name, Category: v.Tool.Category, Effect: v.Tool.Effect}
}

func summaryOf(verdicts []keys.Verdict) (s Summary) {
	for _, v := range verdicts {
		if v.Allowed() {
			s.Allowed++
		} else {
			s.Denied++
		}
	}
	return s
}

// Difference is what changes from one key to another, or from one version of a
// key to another.
type Difference struct {
	From           Side             `json:"from" doc:"The one key or version."`
	To             Side             `json:"to" doc:"The other."`
	CatalogVersion string           `json:"catalogVersion" doc:"Which catalog was asked: of equal ones equal." example:"9f86d081884c7d65"`
	Gained         []ToolDifference `json:"gained" doc:"What only to may use."`
	Lost           []ToolDifference `json:"lost" doc:"What only from may use."`
	Same           int              `json:"same" doc:"Of how many the decision is the same." minimum:"0" example:"41"`
}

// Side is one of two that are compared.
type Side struct {
	Basis
	Summary Summary `json:"summary" doc:"How many."`
}

// ToolDifference is a thing that only one of two may use, and why the other
// may not.
type ToolDifference struct {
	Offered
	Reason *string  `json:"reason" doc:"The first rule that fails for the other." example:"readonly"`
	Failed []string `json:"failed" doc:"All rules that fail for the other, in order." example:"[\"readonly\"]"`
}

// DifferenceOf compares what two may do with everything on offer.
func DifferenceOf(from, to *keys.Standing, o keys.Offer) Difference {
	here, there := from.Verdicts(o), to.Verdicts(o)
	d := Difference{From: Side{basisOf(from), summaryOf(here)}, To: Side{basisOf(to), summaryOf(there)},
		CatalogVersion: o.Version, Gained: []ToolDifference{}, Lost: []ToolDifference{}}
	for i := range here {
		switch {
		case here[i].Allowed() == there[i].Allowed():
			d.Same++
		case there[i].Allowed():
			d.Gained = append(d.Gained, toolDifferenceOf(here[i]))
		default:
			d.Lost = append(d.Lost, toolDifferenceOf(there[i]))
		}
	}
	return d
}

func toolDifferenceOf(denied keys.Verdict) ToolDifference {
	out := ToolDifference{Offered: offeredOf(denied)}
	_, out.Reason, out.Failed = verdict(denied.Decision)
	return out
}

// Explained is an Explanation, a Matrix or a Difference, as was asked for.
type Explained struct{ of any }

// ExplainedAs is the one that was asked for.
func ExplainedAs[T Explanation | Matrix | Difference](answer T) Explained { return Explained{answer} }

// MarshalJSON writes it as what it is.
func (e Explained) MarshalJSON() ([]byte, error) { return json.Marshal(e.of) }

// Alternatives are what it may be.
func (Explained) Alternatives() []any { return []any{Explanation{}, Matrix{}, Difference{}} }

// ExplainPolicy is the body of a question about a policy that nobody has saved.
type ExplainPolicy struct {
	Key         keys.Opt[string]       `json:"key,omitzero" doc:"The key that the policy would be of, by id or handle, with its ancestors; absent or null is a new key." maxLength:"64" example:"support-agent"`
	Policy      keys.Opt[PolicyFields] `json:"policy,omitzero" doc:"The MCP fields that would be other than the key's own, or than a new key's defaults; null within is the default."`
	Permissions keys.Opt[[]string]     `json:"permissions,omitzero" doc:"What it may do over REST and with the built-in tools, in place of the key's own; null is nothing." pattern:"^([*]|(view|manage):(api-keys|projects|instances|presets|audit|approvals|tenant|tenants))$" example:"[\"view:projects\"]"`
	Scope       keys.Opt[policy.Scope] `json:"scope,omitzero" doc:"Of a new key only: which doors it would open." default:"full" example:"full"`
	ProjectID   keys.Opt[string]       `json:"projectId,omitzero" doc:"Of a new key only: the one project that it would be confined to." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Tool        keys.Opt[string]       `json:"tool,omitzero" doc:"The tool, prompt, resource or template: by its name as listed, or as <instance>/<name or uri>. Absent or null is all that is on offer." minLength:"1" maxLength:"8192" example:"notes__read_note" sample:"true"`
	Arguments   Arguments              `json:"arguments,omitzero" doc:"With tool: the arguments of a call, which are judged too. Without them, argument.not_allowed says what they must meet." maxProperties:"1000" example:"{\"title\":\"team-plan\"}"`
	At          keys.Opt[string]       `json:"at,omitzero" doc:"As of this time (RFC 3339), for a key that expires; absent or null is now." format:"date-time" example:"2026-01-31T12:00:00Z"`
}

// Arguments are those of a call; absent or null is none.
type Arguments = keys.Opt[map[string]json.RawMessage]

const (
	maxToolName      = 8192 // characters; there are long uris
	maxCallArguments = 1000
)

// Question is the domain's; the error is a *keys.InvalidError.
func (e ExplainPolicy) Question() (keys.Question, error) {
	at, err := parseTime("at", e.At)
	if err != nil {
		return keys.Question{}, err
	}
	if e.Key.Set && !e.Key.Null && e.Key.Value == "" {
		return keys.Question{}, invalid("key", "must be the id or the handle of a key; leave it out for a new one")
	}
	if n := utf8.RuneCountInString(e.Tool.Value); e.Tool.Set && !e.Tool.Null && n == 0 || n > maxToolName {
		return keys.Question{}, invalid("tool", "must be a name as listed, or <instance>/<name or uri>, of at most 8192 characters; leave it out for all of them")
	}
	q := keys.Question{Key: e.Key.Value}
	if e.Arguments.Value != nil {
		if e.Tool.Value == "" {
			return q, invalid("arguments", "are those of a call of one tool: name it, or leave them out")
		}
		if len(e.Arguments.Value) > maxCallArguments {
			return q, invalid("arguments", "must be at most 1000")
		}
		if q.Arguments, err = json.Marshal(e.Arguments.Value); err != nil {
			return q, err
		}
	}
	if e.Policy.Set || e.Permissions.Set || e.Scope.Set || e.ProjectID.Set {
		q.Draft = &keys.Draft{PolicyPatch: e.Policy.Value.patch(), Permissions: e.Permissions, Scope: e.Scope, ProjectID: e.ProjectID}
	}
	if at != nil {
		q.At = *at
	}
	return q, nil
}
