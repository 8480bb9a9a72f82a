package keys

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ShadowReport is where a key's draft would have decided recorded calls otherwise.
type ShadowReport struct {
	Key  Key // as the report saw it; without a draft (Key.Shadow nil) there is nothing to report
	Days int
	// Since is from when on calls are counted: so many days ago, or when the draft or
	// the policy that it was compared with was changed last, if that was later.
	Since       time.Time
	Calls       int         // recorded requests of the key since then, denied ones included
	Differences []ShadowUse // most calls first
	Truncated   bool        // there was more than these limits
}

// ShadowUse are recorded calls of one thing for which the draft has one answer, which
// is not that of the live policy.
type ShadowUse struct {
	Kind     string   // as in Offered
	ID       string   // the canonical id
	Decision string   // the draft's: ShadowDeny, ...
	Failed   []string // the draft's failing rules, of all the calls
	Count    int
	Last     time.Time
	Examples []AuditEntry // the newest, first; at most 3, and none of the groups after the first 50
	uses     []AuditUse
}

// Shadow reports where the draft of a key (by id, or else by handle) would have
// decided the calls otherwise that it made in the last days (1 to MaxUseDays), as
// the audit trail has it. Calls of the keys below it were decided by its live policy
// alone and are not counted. It needs view:audit and view:api-keys.
func (s *Service) Shadow(ctx context.Context, p Principal, idOrHandle string, days int) (out ShadowReport, err error) {
	if err := s.Need(ctx, p, "key.shadow", viewAudit); err != nil {
		return out, err
	}
	if err := checkDays(days, 1); err != nil {
		return out, err
	}
	out.Days, out.Since, out.Differences = days, s.now().AddDate(0, 0, -days), []ShadowUse{}
	err = s.read(ctx, p, operation{"key.shadow", viewKeys}, func(r Reader) error {
		if out.Key, err = findKey(ctx, r, p, idOrHandle); err != nil || out.Key.Shadow == nil {
			return err
		}
		if out.Since, err = comparedSince(ctx, r, &out.Key, out.Since); err != nil {
			return err
		}
		return out.count(ctx, r)
	})
	if err != nil {
		return ShadowReport{}, err
	}
	return out, nil
}

// maxChangesRead bounds how many changes of a key are looked through for the last
// one of its policies.
const maxChangesRead = 1000

// comparedSince is when the draft or the key's own policy was changed last, at the
// earliest since: what was compared before was another pair.
func comparedSince(ctx context.Context, r Reader, k *Key, since time.Time) (time.Time, error) {
	q := AuditQuery{Kind: "change", Subject: k.ID, Since: since, Limit: 200}
	for read := 0; read < maxChangesRead; read += q.Limit {
		page, err := r.Audit(ctx, k.TenantID, q)
		if err != nil {
			return since, err
		}
		for i := range page {
			if changesComparison(page[i].Detail) {
				return page[i].Time, nil
			}
		}
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].ID
	}
	return since, nil
}

// changesComparison tells whether a change of a key is one of its draft or of what
// the draft is held against: not of the pause, which is no matter of policy, nor of
// the limits, which are not compared.
func changesComparison(detail json.RawMessage) bool {
	var change struct{ Before, After fields }
	if json.Unmarshal(detail, &change) != nil {
		return false
	}
	compared := policyFields(&policy.Policy{})
	delete(compared, "mcpActive")
	delete(compared, "mcpLimits")
	return slices.ContainsFunc(names(change.Before, change.After), func(name string) bool {
		_, is := compared[name]
		return is || name == "mcpShadow"
	})
}

// count reads the recorded calls.
func (out *ShadowReport) count(ctx context.Context, r Reader) error {
	q := AuditUseQuery{KeyID: out.Key.ID, Since: out.Since}
	all, err := r.AuditUse(ctx, out.Key.TenantID, q)
	if err != nil {
		return err
	}
	for _, use := range all {
		if usedKinds[use.Action] != nil {
			out.Calls += use.Count
		}
	}
	q.Shadowed = true
	differing, err := r.AuditUse(ctx, out.Key.TenantID, q)
	if err != nil {
		return err
	}
	out.Truncated = max(len(all), len(differing)) >= MaxAuditUse
	groups := map[[3]string]*ShadowUse{}
	for _, use := range differing {
		at := [3]string{use.kind(), cmp.Or(use.Subject, use.Tool), use.Shadow}
		if groups[at] == nil {
			groups[at] = &ShadowUse{Kind: at[0], ID: at[1], Decision: at[2], Failed: []string{}}
		}
		groups[at].add(use)
	}
	for _, group := range groups {
		out.Differences = append(out.Differences, *group)
	}
	slices.SortFunc(out.Differences, func(a, b ShadowUse) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.ID, b.ID), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Decision, b.Decision))
	})
	if len(out.Differences) > maxUseEffects {
		out.Differences, out.Truncated = out.Differences[:maxUseEffects], true
	}
	for i := range out.Differences[:min(maxExampled, len(out.Differences))] {
		u := &out.Differences[i]
		if u.Examples, err = examplesOf(ctx, r, out.Key.TenantID, u.uses, out.Since); err != nil {
			return err
		}
	}
	return nil
}

// kind is that of what the requests are for: resources and their templates are read
// in one way, and completions are for prompts mostly.
func (u *AuditUse) kind() string {
	if kinds := usedKinds[u.Action]; kinds != nil {
		return kinds[0]
	}
	return KindTool
}

func (u *ShadowUse) add(use AuditUse) {
	u.Count += use.Count
	if use.Last.After(u.Last) {
		u.Last = use.Last
	}
	var failed []string
	_ = json.Unmarshal([]byte(use.ShadowFailed), &failed) // none is no list
	for _, rule := range failed {
		if !slices.Contains(u.Failed, rule) {
			u.Failed = append(u.Failed, rule)
		}
	}
	u.uses = append(u.uses, use)
}
