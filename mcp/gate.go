package mcp

import (
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// question is what the gate is asked: may this principal, narrowed so, do this
// in this catalog now.
type question struct {
	principal keys.Principal
	session   *policy.Session // what the session or request gave up by itself
	catalog   *catalog
	method    string
	era       era
	target    target   // what it names; of classCall only
	task      *taskRef // what it names, of classTask only; nil = none of the principal's
	now       time.Time

	arguments json.RawMessage // of a call; nil = absent
	projects  policy.Projects // that arguments may name; nil = none are known
}

// verdict is the gate's answer. The zero verdict is a denial.
type verdict struct {
	class    methodClass // classUnknown: no such method for this era
	who      keys.Principal
	at       time.Time
	target   target
	decision policy.Decision
	tool     *policy.Tool // nil = the catalog has none of this name
	entry    *entry
	task     *taskRef // of classTask

	arguments policy.ArgumentDecision // of classCall, where all else allows it

	// shadow is where the key's draft differs; nil = nowhere, or there is none. It is
	// for the audit trail only.
	shadow *wire.Shadow

	needsApproval bool // of classCall: a person must approve the call before it is made
}

// allowed tells whether the request may go on.
func (v verdict) allowed() bool {
	switch v.class {
	case classUnknown, classNotOffered:
		return false
	}
	return v.decision.Allowed()
}

// decide is the gate: the one function behind every request, asked by the edge
// before anything is looked at beyond the envelope, and again by the filter of
// mcp-go's server. For what is not a call the decision is about the key alone. What
// is about a task was decided with its arguments when it was called.
func decide(q question) verdict {
	v := judge(q, q.principal.Grant())
	if v.class != classCall && v.class != classTask {
		return v
	}
	if draft, has := q.principal.Draft(); has {
		v.shadow = q.shadow(v, draft, judge)
	}
	return v
}

// judge is decide by one grant.
func judge(q question, grant *policy.Grant) verdict {
	if !q.principal.Valid() || grant == nil {
		return verdict{}
	}
	m := methods[q.method]
	if m.eras&q.era == 0 {
		m.class = classUnknown
	}
	v := verdict{class: m.class, who: q.principal, at: q.now, target: q.target, decision: grant.DecideKey(q.now)}
	if m.class != classCall && m.class != classTask {
		return v
	}
	var c choice
	switch {
	case m.class == classTask:
		v.task = q.task
		c.tool, c.entry = q.catalog.ofTask(q.task)
		c.decision = grant.Decide(q.session, c.tool, q.now)
	case q.target.kind == kindResource:
		c = q.resource(grant, q.target.name)
	case q.target.kind == kindTemplate:
		c = q.templateNamed(grant, q.target.name)
	default:
		c.tool, c.entry = q.catalog.lookup(q.target.kind, q.target.name)
		c.decision = grant.Decide(q.session, c.tool, q.now)
	}
	v.tool, v.entry, v.decision = c.tool, c.entry, c.decision
	if m.class == classCall && v.decision.Allowed() {
		if v.arguments = q.heldArguments(grant, c); !v.arguments.Allowed() {
			v.decision = v.decision.With(policy.RuleArgument)
		}
		v.needsApproval = q.needsApproval(grant, c)
	}
	return v
}

// visible marks what of a kind decide would let through.
func visible(q question, k kind) policy.Bitset {
	grant := q.principal.Grant()
	if !q.principal.Valid() || grant == nil {
		return nil
	}
	return grant.Visible(q.session, q.catalog.offers[k].tools, q.now)
}

// listed marks what of a kind a list shows: what is visible, and of resources of
// one uri the one that a read of it reaches.
func listed(q question, k kind) policy.Bitset {
	set := visible(q, k)
	if k == kindResource && len(set) > 0 {
		set = q.catalog.inFront(set)
	}
	return set
}
