package mcp

import (
	"sync/atomic"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Stats is what a Gateway has done and how it stands, for metrics. It holds no
// name of a tenant, key, instance or tool.
type Stats struct {
	Decisions []DecisionStats
	Calls     []CallStats    // by outcome
	Unsampled uint64         // calls with outcome ok that Config.AuditSkip kept out of the audit trail
	Running   int            // calls that are not answered yet
	Held      int            // those of them that wait for a person's approval
	Sessions  int            // of the versions that have them
	Streams   int            // of notifications
	Instances map[string]int // by the states of InstanceStatus; each is there
}

// DecisionStats counts the decisions about a kind of thing with one end.
type DecisionStats struct {
	Kind   string      // tool, prompt, resource, template; key = about all that it asks
	Reason policy.Rule // the first that failed; RuleNone = allowed
	Count  uint64
}

// CallStats is of the calls that ended in one way.
type CallStats struct {
	Outcome string
	Took    keys.DurationsSnapshot
}

// aboutKey stands beside the kinds: a decision about the key alone.
const aboutKey = upstream.Kinds

const maxRules = 32

// counters are what Stats can't read off anything.
type counters struct {
	decisions [aboutKey + 1][maxRules]atomic.Uint64 // by kind and reason
	calls     [len(outcomes)]keys.Durations
	unsampled atomic.Uint64
	held      atomic.Int64 // calls that wait for approval now
}

// outcomes are all that a recorded call can have.
var outcomes = [...]string{outcomeOK, outcomeToolError, outcomeUpstream, outcomeCanceled, outcomeInput}

// decided counts a decision.
func (c *counters) decided(v verdict, reason policy.Rule) {
	about := int(aboutKey)
	if v.class == classCall || v.class == classTask {
		about = int(v.target.kind)
	}
	c.decisions[about][reason%maxRules].Add(1)
}

// called counts a call that has ended.
func (c *counters) called(outcome string, took time.Duration) {
	for i, one := range outcomes {
		if one == outcome {
			c.calls[i].Observe(took)
		}
	}
}

// Stats reads them.
func (g *Gateway) Stats() Stats {
	s := Stats{Instances: map[string]int{"disabled": 0, string(upstream.StateConnecting): 0, string(upstream.StateReady): 0, string(upstream.StateDown): 0}}
	for about := range g.counters.decisions {
		kindName := "key"
		if about < int(aboutKey) {
			kindName = kind(about).String()
		}
		for reason := policy.RuleNone; reason < policy.NumRules; reason++ {
			s.Decisions = append(s.Decisions, DecisionStats{kindName, reason, g.counters.decisions[about][reason].Load()})
		}
	}
	for i, outcome := range outcomes {
		s.Calls = append(s.Calls, CallStats{outcome, g.counters.calls[i].Snapshot()})
	}
	s.Unsampled, s.Held = g.counters.unsampled.Load(), int(g.counters.held.Load())
	s.Running, s.Sessions, s.Streams = g.calls.count(), g.sessions.count(), g.streams.count()
	for _, m := range g.mounts.all() {
		state := upstream.StateDown
		if m.up != nil {
			state = m.up.Status().State
		}
		s.Instances[string(state)]++
	}
	g.mounts.mu.Lock()
	defer g.mounts.mu.Unlock()
	s.Instances["disabled"] = len(g.mounts.disabled)
	return s
}

func (t *callTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

func (t *sessionTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

func (t *streamTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}
