package mcp_test

import (
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// falsify records decisions again with another outcome: all of them are told.
func (s *schedule) falsify() {
	w := s.w
	list, err := w.svc.AuditEvents(w.t.Context(), w.op, keys.AuditQuery{Limit: 1000})
	must(w.t, err)
	wrong := map[string]bool{}
	for _, e := range list {
		e.Ref = "false-" + e.ID
		switch {
		case e.Seen == "" || s.r.IntN(4) > 0:
			continue
		case e.Decision == "allow":
			e.Decision, e.Failed = "deny", []string{policy.RuleAllowlist.String()}
		case certain(&e):
			e.Decision, e.Failed = "allow", []string{}
		default:
			continue
		}
		e.ID = ""
		wrong[e.Ref] = true
		must(w.t, w.svc.Record(w.t.Context(), e))
	}
	w.until("the trail is written", func() bool {
		waiting, _ := w.svc.AuditWaiting()
		return waiting == 0
	})
	all := len(wrong)
	got, err := w.svc.ReplayAudit(w.t.Context(), w.op, keys.ReplayQuery{}, func(d keys.ReplayDifference) error {
		if !wrong[d.Entry.Ref] {
			w.t.Errorf("%s %s was right", d.Entry.Action, d.Entry.Tool)
		}
		delete(wrong, d.Entry.Ref)
		return nil
	})
	must(w.t, err)
	if all < 20 || got.Different != int64(all) || len(wrong) != 0 {
		w.t.Errorf("%d of %d are told: %+v", got.Different, all, got)
	}
}

// certain tells whether a rule denied of which all that it depends on is recorded.
func certain(e *keys.AuditEntry) bool {
	return slices.ContainsFunc(e.Failed, func(name string) bool {
		switch name {
		case policy.RuleNarrowed.String(), policy.RuleArgument.String(), policy.RuleRate.String(), policy.RuleApproval.String():
			return false
		case policy.RulePermission.String(), policy.RuleExpired.String():
			return e.KeyID != "" // of a JWT they are the token's
		}
		return true
	})
}
