package keys

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// maxNoted is how many names a note has.
const maxNoted = 10

// keyUse is what was recorded of a key and of its descendants that are live, or have
// expired since: what a short-lived key of a sub-agent needed, the next one needs.
// Revoked ones do not count.
type keyUse struct {
	groups      []AuditUse
	descendants int
	cut         bool // there was more
}

func readUse(ctx context.Context, r Reader, k *Key, since time.Time) (use keyUse, err error) {
	ids := []string{k.ID}
	for i := 0; i < len(ids); i++ {
		groups, err := r.AuditUse(ctx, k.TenantID, AuditUseQuery{KeyID: ids[i], Since: since})
		if err != nil {
			return use, err
		}
		if use.groups = append(use.groups, groups...); len(use.groups) >= MaxAuditUse {
			use.cut = true // and nothing is suggested
			break
		}
		children, _, err := r.Keys(ctx, k.TenantID, KeyQuery{ParentKeyID: ids[i], LiveAt: since, Limit: MaxFamily + 1})
		if err != nil {
			return use, err
		}
		for c := range children {
			if len(ids) > MaxFamily {
				use.cut = true
				break
			}
			ids = append(ids, children[c].ID)
		}
	}
	use.descendants = len(ids) - 1
	return use, nil
}

// foundUse is what of the use is on offer.
type foundUse struct {
	used          []UsedTool
	tools         []policy.Tool // as policies see the used ones
	unlisted      int           // of the used ones
	gone, refused []string      // not on offer any more; not allowed any more
}

// find looks up what was used.
func (u keyUse) find(offer *Offer, grant *policy.Grant, instances []Instance) (f foundUse) {
	byID := map[string][]*Offered{}
	for i := range offer.Items {
		byID[offer.Items[i].Tool.ID] = append(byID[offer.Items[i].Tool.ID], &offer.Items[i])
	}
	at := map[[2]string]int{}
	for _, g := range u.groups {
		if g.Decision != "allow" || g.Subject == "" {
			continue
		}
		kind, must, perhaps := spelledOut(offer, byID[g.Subject], &g, instances)
		switch {
		case len(must) == 0:
			f.gone = append(f.gone, g.Subject)
			continue
		case slices.ContainsFunc(must, func(t policy.Tool) bool { return !letsUse(grant, &t) }):
			f.refused = append(f.refused, g.Subject)
			continue
		}
		i, there := at[[2]string{kind, g.Subject}]
		if !there {
			i = len(f.used)
			at[[2]string{kind, g.Subject}] = i
			f.used = append(f.used, UsedTool{ID: g.Subject, Name: must[0].Name, Kind: kind})
			f.tools = append(append(f.tools, must...), perhaps...)
			if len(byID[g.Subject]) == 0 {
				f.unlisted++
			}
		}
		f.used[i].Count += g.Count
		if g.Last.After(f.used[i].Last) {
			f.used[i].Last = g.Last
		}
	}
	slices.SortFunc(f.used, func(a, b UsedTool) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind))
	})
	return f
}

// spelledOut is what policies see of what was used: all that must be allowed for it
// to be, of a uri that nothing lists each spelling; and beside a template the
// same in each category that a uri of it may have.
func spelledOut(offer *Offer, offered []*Offered, g *AuditUse, instances []Instance) (kind string, must, perhaps []policy.Tool) {
	if len(offered) == 0 {
		if strings.HasPrefix(g.Action, "resources/") && offer.Spellings != nil {
			must = offer.Spellings(g.Subject)
		}
		return KindResource, must, nil
	}
	chosen := offered[max(0, slices.IndexFunc(offered, func(o *Offered) bool { return slices.Contains(usedKinds[g.Action], o.Kind) }))]
	if chosen.Kind == KindTemplate {
		for _, category := range categoriesAt(instances, chosen.Tool.InstanceID) {
			t := chosen.Tool
			t.Category = category
			perhaps = append(perhaps, t)
		}
	}
	return chosen.Kind, []policy.Tool{chosen.Tool}, perhaps
}

// categoriesAt are those that a resource of the instance may have.
func categoriesAt(instances []Instance, id string) []string {
	out := []string{"tools"} // where the operator said nothing
	for i := range instances {
		if instances[i].ID != id {
			continue
		}
		for _, rule := range instances[i].Tools {
			if rule.Category != "" && !slices.Contains(out, rule.Category) {
				out = append(out, rule.Category)
			}
		}
	}
	return out
}

// remarks are what to know of the use before the suggestion is applied.
func (out *Suggestion) remarks(use keyUse, f foundUse) (notes []string) {
	say := func(when bool, format string, args ...any) {
		if when {
			notes = append(notes, fmt.Sprintf(format, args...))
		}
	}
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	young := out.Key.CreatedAt.After(out.Since)
	say(len(f.used) == 0, "no use of what it may use now is recorded")
	say(young, "the key is younger than %s: it was made at %s", days(out.Days), day(out.Key.CreatedAt))
	say(!young && out.RecordedSince.After(out.Since), "the audit trail does not cover %s: it begins at %s, so what was used before is not known", days(out.Days), day(out.RecordedSince))
	say(use.descendants > 0, "the use of the keys below it (%d) is counted too, for their calls must be within it", use.descendants)
	say(len(f.gone) > 0, "used, but not on offer now, and so left out: %s", named(f.gone))
	say(len(f.refused) > 0, "used, but not allowed any more, and so left out: %s", named(f.refused))
	if denied := use.denied(f.used); len(denied) > 0 {
		say(true, "denied in this time, and not counted as use: %s", named(denied))
	}
	say(true, "only what the audit trail has is counted: a server with --audit-sample below 1 leaves out calls that went well")
	say(true, "only the fields in the update change: what is decided at the time of a call stays as it is")
	return notes
}

func days(n int) string {
	if n == 1 {
		return "a day"
	}
	return fmt.Sprintf("%d days", n)
}

// denied are the names that were asked for in vain and are not used either, with
// how often, most first.
func (u keyUse) denied(used []UsedTool) (out []string) {
	counts := map[string]int{}
	for _, g := range u.groups {
		name := cmp.Or(g.Subject, g.Tool)
		if g.Decision == "deny" && name != "" && strings.Contains(g.Action, "/") &&
			!slices.ContainsFunc(used, func(t UsedTool) bool { return t.ID == name }) {
			counts[name] += g.Count
		}
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for _, name := range names {
		out = append(out, fmt.Sprintf("%s (%d)", clip(name), counts[name]))
	}
	return out
}

// named lists the first names.
func named(names []string) string {
	seen := map[string]bool{}
	var first []string
	for _, name := range names {
		if !seen[name] && len(seen) < maxNoted {
			first = append(first, clip(name))
		}
		seen[name] = true
	}
	if more := len(seen) - len(first); more > 0 {
		first[len(first)-1] += fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(first, ", ")
}
