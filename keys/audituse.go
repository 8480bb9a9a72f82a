package keys

import (
	"context"
	"slices"
	"strings"
	"time"
)

// The period of recorded use that a suggestion, a draft's report or a dry run looks
// at, in days.
const (
	UseDays    = 30 // where nothing is said
	MaxUseDays = 365
)

// checkDays holds such a period to at least so many days.
func checkDays(days, least int) error {
	var f faults
	if days < least || days > MaxUseDays {
		f.add("days", "must be from %d to %d", least, MaxUseDays)
	}
	return f.err()
}

// AuditUseQuery selects the recorded requests that AuditUse counts.
type AuditUseQuery struct {
	KeyID    string    // "" = of everybody
	Since    time.Time // from then on
	Limit    int       // groups at most, those of the most requests first; 0 = 10,000
	Shadowed bool      // only those that the key's draft would have decided otherwise
}

// MaxAuditUse is how many groups AuditUse answers unless it is told otherwise.
const MaxAuditUse = 10_000

// AuditUse counts the requests in an audit trail, calls and denials, that are
// alike: of one key, action, tool and decision; where the query is Shadowed also of
// one decision of the draft, by the same rules.
type AuditUse struct {
	KeyID        string
	Action       string // tools/call, ...
	Subject      string // the tool's canonical id; "" = the catalog had none
	Tool         string // the name as asked for
	Decision     string // allow, deny
	Shadow       string // ShadowDeny, ...; "" unless the query is Shadowed
	ShadowFailed string // the draft's failing rules, as a list in JSON; "" = none
	Count        int
	Last         time.Time // of the newest
}

// examplesOf are the newest requests that were counted, newest first, each once.
func examplesOf(ctx context.Context, r Reader, tenantID string, uses []AuditUse, since time.Time) ([]AuditEntry, error) {
	counts := map[AuditQuery]int{} // of one draft's decision, by several of its rules
	for _, u := range uses {
		counts[AuditQuery{KeyID: u.KeyID, Action: u.Action, Subject: u.Subject, Tool: u.Tool, Decision: u.Decision, Shadow: u.Shadow, Since: since}] += u.Count
	}
	var found []AuditEntry
	for q, count := range counts {
		q.Limit = min(maxExamples, count) // else all that is older is read, in search of more
		entries, err := r.Audit(ctx, tenantID, q)
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	slices.SortFunc(found, func(a, b AuditEntry) int { return strings.Compare(b.ID, a.ID) })
	found = slices.CompactFunc(found, func(a, b AuditEntry) bool { return a.ID == b.ID })
	return found[:min(maxExamples, len(found))], nil
}
