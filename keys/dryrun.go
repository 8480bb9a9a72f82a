package keys

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// DryRunUpdate tells what UpdateKey would do with the same arguments, and does
// nothing: what is on offer that the key gains and loses, and which of the
// requests that it and the keys below it made in the last days (0 to
// MaxUseDays; 0 = none) would be decided otherwise. Its errors are those of
// UpdateKey. It needs manage:api-keys; what tells of recorded requests needs
// view:audit beside it and is left out without.
//
// Everything is decided as of now, by the rules that hide things: what sessions
// narrowed and what the rules of a call's arguments say is in no record.
func (s *Service) DryRunUpdate(ctx context.Context, p Principal, id string, patch KeyPatch, offer Offer, days int) (out Effects, err error) {
	if err := checkDays(days, 0); err != nil {
		return out, err
	}
	err = s.review(ctx, p, operation{"key.dry_run", manageKeys}, func(e *snapshot) error {
		was, becomes, err := e.updated(ctx, id, &patch)
		if err != nil {
			return err
		}
		out = Effects{Key: was, Fields: changedFields(was.fields(), becomes.fields())}
		family, cut, err := e.family(ctx, &was, &becomes)
		if err != nil {
			return err
		}
		out.Truncated = cut
		e.compare(&out, family, &offer)
		if !e.who.Can(viewAudit, e.now) {
			return nil
		}
		out.Replayed = true
		return e.replay(ctx, &out, family, &offer, e.now.AddDate(0, 0, -days))
	})
	if err != nil {
		return Effects{}, err
	}
	return out, nil
}

func changedFields(before, after fields) []string {
	out := slices.DeleteFunc(names(before, after), func(name string) bool { return reflect.DeepEqual(before[name], after[name]) })
	slices.Sort(out)
	return out
}

// relative is a key, the changed one or one below it, with its rights without
// the change and with it.
type relative struct {
	key           Key
	without, with []policy.Subject // layers; of the key first
	before, after *policy.Grant
	differs       bool // it gains or loses something
}

// family are the changed key and the live keys below it; cut says that there are
// more than MaxFamily.
func (e *snapshot) family(ctx context.Context, was, becomes *Key) (all []*relative, cut bool, err error) {
	c, err := loadChain(ctx, e, *was)
	if err != nil {
		return nil, false, err
	}
	layer, err := subjectOf(ctx, e, becomes, c.tenant)
	if err != nil {
		return nil, false, err
	}
	first := &relative{key: *was}
	if !c.broken { // else it may do nothing, whatever its layers say
		first.without, first.with = c.layers, slices.Concat([]policy.Subject{layer}, c.layers[1:])
	}
	all = []*relative{first}
	for i := 0; i < len(all); i++ {
		children, _, err := e.Keys(ctx, was.TenantID, KeyQuery{ParentKeyID: all[i].key.ID, LiveAt: e.now, Limit: MaxFamily + 1})
		if err != nil {
			return nil, false, err
		}
		for _, child := range children {
			if len(all) > MaxFamily {
				return all, true, nil
			}
			layer, err := subjectOf(ctx, e, &child, c.tenant)
			if err != nil {
				return nil, false, err
			}
			all = append(all, all[i].child(child, layer))
		}
	}
	return all, false, nil
}

func (r *relative) child(k Key, layer policy.Subject) *relative {
	out := &relative{key: k}
	if len(r.without) > 0 {
		out.without = slices.Concat([]policy.Subject{layer}, r.without)
		out.with = slices.Concat([]policy.Subject{layer}, r.with)
	}
	return out
}

// compile is without effect on who may do nothing: nil grants deny.
func (r *relative) compile() {
	if len(r.without) > 0 {
		r.before = policy.Compile(r.without[0], r.without[1:]...)
		r.after = policy.Compile(r.with[0], r.with[1:]...)
	}
}

// decide answers without the change and with it.
func (r *relative) decide(t *policy.Tool, now time.Time) (before, after policy.Decision) {
	return r.before.Decide(nil, t, now), r.after.Decide(nil, t, now)
}

// compare looks at what everybody of the family gains and loses.
func (e *snapshot) compare(out *Effects, family []*relative, offer *Offer) {
	out.Partial = !e.who.Can(viewAudit, e.now) && !e.who.Can(viewInstances, e.now)
	items := slices.DeleteFunc(slices.Clone(offer.Items), func(o Offered) bool { return !e.mayLearnOf(&o.Tool) })
	for n, r := range family {
		r.compile()
		for _, item := range items {
			before, after := r.decide(&item.Tool, e.now)
			if before.Allowed() == after.Allowed() {
				continue
			}
			r.differs = true
			switch {
			case n > 0:
			case after.Allowed():
				out.Added = append(out.Added, OfferEffect{item, before.Failed()})
			default:
				out.Removed = append(out.Removed, OfferEffect{item, after.Failed()})
			}
		}
		if n > 0 && r.differs {
			out.Children++
		}
	}
}

// mayLearnOf tells whether the principal may be told that there is such a thing:
// else whoever may change a key could find out by its patterns what is hidden.
func (e *snapshot) mayLearnOf(t *policy.Tool) bool {
	switch {
	case e.who.Can(viewAudit, e.now):
		return true // explanations show anything of the tenant, too
	case e.who.Can(viewInstances, e.now):
		return t.Builtin() || e.who.reaches(t.ProjectID)
	}
	return e.who.of().grant.Decide(nil, t, e.now).Allowed()
}
