package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Suggestion is the tightest policy that would have allowed what a key was used for.
type Suggestion struct {
	Key           Key // as the suggestion saw it
	Since         time.Time
	Days          int
	RecordedSince time.Time // of the key, at most; what was used before is not known
	Used          []UsedTool
	Allowed       int         // how many things the key may use now, the used ones included
	Update        PolicyPatch // what would change
	Notes         []string    // what to know before it is applied, in words
}

// UsedTool is a tool, or a prompt, resource or template, that a key has used and
// may use now.
type UsedTool struct {
	ID, Name string
	Kind     string // as in Offered
	Count    int    // recorded requests, those of the key's children included
	Last     time.Time
}

// Suggest reads what a key (by id, or else by handle) and its live descendants, whose
// calls go through it, were recorded to use in the last days (1 to MaxUseDays), and
// answers the tightest policy that allows just that. What the offer lacks, and what
// the key may not use any more, is left out and noted.
// It needs view:audit and view:api-keys.
func (s *Service) Suggest(ctx context.Context, p Principal, idOrHandle string, offer Offer, days int) (out Suggestion, err error) {
	if err := s.Need(ctx, p, "key.suggest", viewAudit); err != nil {
		return out, err
	}
	if err := checkDays(days, 1); err != nil {
		return out, err
	}
	now := s.now()
	out.Days, out.Since = days, now.AddDate(0, 0, -days)
	err = s.read(ctx, p, operation{"key.suggest", viewKeys}, func(r Reader) error {
		if out.Key, err = findKey(ctx, r, p, idOrHandle); err != nil {
			return err
		}
		if out.RecordedSince, err = recordedSince(ctx, r, &out.Key, now); err != nil {
			return err
		}
		use, err := readUse(ctx, r, &out.Key, out.Since)
		if err != nil {
			return err
		}
		c, err := loadChain(ctx, r, out.Key)
		if err != nil {
			return err
		}
		instances, err := r.Instances(ctx, p.TenantID())
		if err != nil {
			return err
		}
		out.of(c, use, &offer, instances)
		return nil
	})
	if err != nil {
		return Suggestion{}, err
	}
	return out, nil
}

// recordedSince is from when on all that the key was used for is in the trail,
// but for what sampling left out.
func recordedSince(ctx context.Context, r Reader, k *Key, now time.Time) (time.Time, error) {
	since := now
	oldest, err := r.Audit(ctx, k.TenantID, AuditQuery{Oldest: true, Limit: 1})
	if err != nil {
		return since, err
	}
	if len(oldest) > 0 {
		since = oldest[0].Time
	}
	text, err := r.Meta(ctx, prunedMeta+"."+k.TenantID)
	if err != nil && !isNotFound(err) {
		return since, err
	}
	if pruned, err := time.Parse(time.RFC3339Nano, text); err == nil {
		since = pruned
	}
	if k.CreatedAt.After(since) {
		since = k.CreatedAt
	}
	return since, nil
}

// of makes the suggestion of the use.
func (out *Suggestion) of(c chain, use keyUse, offer *Offer, instances []Instance) {
	grant := policy.Compile(c.layers[0], c.layers[1:]...)
	var visible []policy.Tool
	for i := range offer.Items {
		if t := offer.Items[i].Tool; letsUse(grant, &t) {
			visible = append(visible, t)
		}
	}
	found := use.find(offer, grant, instances)
	out.Used, out.Allowed = found.used, len(visible)+found.unlisted
	out.Notes = out.remarks(use, found)
	if why := out.unfit(use, offer); why != "" {
		out.Notes = append([]string{why}, out.Notes...)
		return
	}
	tight, notes := policy.Tighten(c.layers[0], found.tools, visible)
	out.Notes = append(out.Notes, notes...)
	out.Update = out.changes(tight)
}

// unfit says why no update can be suggested; "" where one can.
func (out *Suggestion) unfit(use keyUse, offer *Offer) string {
	switch {
	case out.Key.RevokedAt != nil:
		return "the key is revoked, so nothing is suggested"
	case len(offer.Items) == 0:
		return "nothing is known to be on offer here, so nothing is suggested: ask the server that the key is used at"
	case use.cut:
		return fmt.Sprintf("it was used in %d ways or more, or by more than %d keys below it, too many to count, so nothing is suggested: ask for fewer days", MaxAuditUse, MaxFamily)
	}
	return ""
}

// changes are the fields in which the policy differs from the key's.
func (out *Suggestion) changes(tight policy.Policy) (u PolicyPatch) {
	was := out.Key.Policy.Canonical()
	if tight.ReadOnly != was.ReadOnly {
		u.MCPReadOnly = Some(tight.ReadOnly)
	}
	if tight.Preset != was.Preset {
		u.MCPPreset = Some(tight.Preset)
	}
	if tight.AllowlistMode != was.AllowlistMode || !slices.Equal(tight.ToolAllowlist, was.ToolAllowlist) {
		u.MCPAllowlistMode, u.MCPToolAllowlist = Some(tight.AllowlistMode), Some(tight.ToolAllowlist)
	}
	limit := func(field *Opt[policy.Limit], name string, tight, was policy.Limit) {
		switch {
		case tight.Equal(was):
		case len(tight.Values()) > maxIDs:
			out.Notes = append(out.Notes, fmt.Sprintf("%s stays: it would have more than %d entries", name, maxIDs))
		default:
			*field = Some(tight)
		}
	}
	limit(&u.MCPPermissions, "mcpPermissions", tight.Permissions, was.Permissions)
	limit(&u.MCPProjectIDs, "mcpProjectIds", tight.ProjectIDs, was.ProjectIDs)
	limit(&u.MCPInstanceIDs, "mcpInstanceIds", tight.InstanceIDs, was.InstanceIDs)
	return u
}

// Empty tells whether nothing would change.
func (pp PolicyPatch) Empty() bool { return len(pp.open()) == len(new(PolicyPatch).open()) }

// letsUse tells whether the rules about tools let one through, whatever state the
// key is in; a quarantined tool may be approved.
func letsUse(grant *policy.Grant, t *policy.Tool) bool {
	return !slices.ContainsFunc(grant.Decide(nil, t, time.Time{}).Failed(), func(r policy.Rule) bool {
		return r >= policy.RuleUnknown && r < policy.RuleArgument && r != policy.RuleQuarantined
	})
}
