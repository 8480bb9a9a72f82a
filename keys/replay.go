package keys

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// usedKinds are the kinds of what a request uses, by its action; other requests
// use nothing that is on offer.
var usedKinds = map[string][]string{
	"tools/call":           {KindTool},
	"tasks/get":            {KindTool},
	"tasks/result":         {KindTool},
	"tasks/update":         {KindTool},
	"tasks/cancel":         {KindTool},
	"prompts/get":          {KindPrompt},
	"completion/complete":  {KindPrompt, KindTemplate},
	"resources/read":       {KindResource, KindTemplate},
	"resources/subscribe":  {KindResource, KindTemplate},
	"subscriptions/listen": {KindResource, KindTemplate},
}

// replay decides the recorded requests of the family anew.
func (e *snapshot) replay(ctx context.Context, out *Effects, family []*relative, offer *Offer, since time.Time) error {
	denied, allowed := useEffects{}, useEffects{}
	things := offer.index()
	for n, r := range family {
		if n > 0 && !r.differs || !since.Before(e.now) {
			continue
		}
		uses, err := e.AuditUse(ctx, r.key.TenantID, AuditUseQuery{KeyID: r.key.ID, Since: since})
		if err != nil {
			return err
		}
		out.Truncated = out.Truncated || len(uses) == MaxAuditUse
		for _, use := range uses {
			thing, named := things.used(&use)
			if thing == nil {
				if named {
					out.NotInCatalog += use.Count
				}
				continue
			}
			before, after := r.decide(&thing.Tool, e.now)
			switch {
			case use.Decision == "allow" && before.Allowed() && !after.Allowed():
				denied.add(r, thing, after, use)
			case use.Decision == "deny" && !before.Allowed() && after.Allowed():
				allowed.add(r, thing, before, use)
			}
		}
	}
	var err error
	if out.NewlyDenied, err = e.ranked(ctx, out, denied, since); err != nil {
		return err
	}
	out.NewlyAllowed, err = e.ranked(ctx, out, allowed, since)
	return err
}

// thing is how a request names something on offer.
type thing struct{ kind, id string }

type things map[thing]*Offered

func (o *Offer) index() things {
	all := make(things, 2*len(o.Items))
	for i := range o.Items {
		item := &o.Items[i]
		all[thing{item.Kind, item.Tool.ID}] = item
		all[thing{item.Kind, item.Tool.Name}] = item // which is nobody's id: those have a / behind the slug
	}
	return all
}

// used finds what the requests were for. Those that the catalog did not know
// then are found by the name that was asked for; named says that there is one.
func (t things) used(u *AuditUse) (item *Offered, named bool) {
	name := u.Subject
	if name == "" && !strings.HasPrefix(u.Action, "tasks/") { // which name a task
		name = u.Tool
	}
	for _, kind := range usedKinds[u.Action] {
		named = name != ""
		if item = t[thing{kind, name}]; item != nil {
			return item, true
		}
	}
	return nil, named
}

// useEffects are put together by key and thing.
type useEffects map[[3]string]*UseEffect

func (all useEffects) add(r *relative, item *Offered, why policy.Decision, use AuditUse) {
	at := [3]string{r.key.ID, item.Kind, item.Tool.ID}
	if all[at] == nil {
		all[at] = &UseEffect{Key: r.key, OfferEffect: OfferEffect{*item, why.Failed()}}
	}
	all[at].Count += use.Count
	all[at].uses = append(all[at].uses, use)
}

// Last is when the newest was recorded.
func (u *UseEffect) Last() (last time.Time) {
	for _, use := range u.uses {
		if use.Last.After(last) {
			last = use.Last
		}
	}
	return last
}

// ranked are those of the most requests, the first of them with examples.
func (e *snapshot) ranked(ctx context.Context, out *Effects, all useEffects, since time.Time) ([]UseEffect, error) {
	list := make([]UseEffect, 0, len(all))
	for _, one := range all {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b UseEffect) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Key.ID, b.Key.ID), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Tool.ID, b.Tool.ID))
	})
	if len(list) > maxUseEffects {
		list, out.Truncated = list[:maxUseEffects], true
	}
	for i := range list[:min(maxExampled, len(list))] {
		u := &list[i]
		var err error
		if u.Examples, err = examplesOf(ctx, e, u.Key.TenantID, u.uses, since); err != nil {
			return nil, err
		}
	}
	return list, nil
}
