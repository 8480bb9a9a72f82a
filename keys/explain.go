package keys

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Question is about what a key may do, or could.
type Question struct {
	Key     string    // id, or else handle; "" = a new key with its defaults
	Version int64     // of the key that is named; 0 = as it stands
	Draft   *Draft    // laid over the key; nil = nothing
	At      time.Time // when; zero = now

	Arguments json.RawMessage // of a call that is judged too; nil = none
}

// Draft is a policy that nobody has saved: absent is the key's own value, or a
// new key's default. Scope and ProjectID are a new key's alone, for they never
// change.
type Draft struct {
	PolicyPatch
	Permissions Opt[[]string]
	Scope       Opt[policy.Scope]
	ProjectID   Opt[string]
}

// Standing is what a decision about a key stands on.
type Standing struct {
	Key   Key // the zero Key for a JWT's subject, and without an id a new one
	Grant *policy.Grant
	At    time.Time // what the clock shows: it decides on expiry
	Epoch int64     // no edit up to this one is missing

	arguments json.RawMessage // as in the question
	projects  policy.Projects // where there are arguments, what they may name
}

// Verdict is what is decided of one thing on offer.
type Verdict struct {
	Offered
	policy.Decision
}

// Standing answers what decisions about a key stand on, ancestors, presets and
// tenant included, as they are now; revoked and expired keys have one too. It
// changes nothing. A draft is checked as a write of it would be: *InvalidError. A
// version that there is no way back to is an *InvalidError of the field version.
// It needs view:audit.
func (s *Service) Standing(ctx context.Context, p Principal, q Question) (st Standing, err error) {
	op := operation{"key.explain", viewAudit}
	if err := s.allow(p, op.needs); err != nil {
		return st, s.refuse(ctx, p, op, err)
	}
	if st.At, err = s.clock(q.At); err != nil {
		return st, err
	}
	if st.Epoch, err = s.cfg.Store.Epoch(ctx); err != nil {
		return st, err
	}
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		if st.Key, err = asked(ctx, r, p, &q); err != nil {
			return err
		}
		c, err := loadChain(ctx, r, st.Key)
		if err != nil {
			return err
		}
		st.Grant = c.principal([32]byte{}, 0).of().grant
		return st.judge(ctx, r, p, q.Arguments)
	})
	return st, err
}

// OwnStanding is that of whoever asks, which for a JWT's subject is the only one
// there is. It needs view:audit.
// The question's key, version and draft are passed over.
func (s *Service) OwnStanding(ctx context.Context, p Principal, q Question) (Standing, error) {
	if p.KeyID() != "" {
		return s.Standing(ctx, p, Question{Key: p.KeyID(), At: q.At, Arguments: q.Arguments})
	}
	if err := s.Need(ctx, p, "key.explain", viewAudit); err != nil {
		return Standing{}, err
	}
	at, err := s.clock(q.At)
	if err != nil {
		return Standing{}, err
	}
	st := Standing{Grant: p.Grant(), At: at, Epoch: p.Epoch()}
	return st, s.cfg.Store.Read(ctx, func(r Reader) error { return st.judge(ctx, r, p, q.Arguments) })
}

// judge takes in the arguments of a call, and the projects that they may name.
func (st *Standing) judge(ctx context.Context, r Reader, p Principal, arguments json.RawMessage) (err error) {
	if arguments != nil {
		st.arguments = arguments
		st.projects, err = projectNames(ctx, r, p.TenantID())
	}
	return err
}

func (s *Service) clock(at time.Time) (time.Time, error) {
	if at.IsZero() {
		return s.cfg.Now(), nil
	}
	var f faults
	f.time("at", at)
	return at, f.err()
}

// asked is the key that the question is about.
func asked(ctx context.Context, r Reader, p Principal, q *Question) (key Key, err error) {
	if q.Key != "" {
		if key, err = keyOrHandle(ctx, r, p, q.Key); err != nil {
			return key, err
		}
		if q.Version != 0 {
			key, err = keyVersion(ctx, r, key, q.Version)
		}
		if err != nil {
			return key, err
		}
	}
	if q.Key != "" && q.Draft == nil {
		return key, nil
	}
	return drafted(ctx, r, p, key, q.Draft)
}

// keyOrHandle finds by id, or else by handle, what the principal may see.
func keyOrHandle(ctx context.Context, r Reader, p Principal, idOrHandle string) (Key, error) {
	key, err := visibleKey(ctx, r, p, idOrHandle)
	if !isNotFound(err) {
		return key, err
	}
	if key, err = r.KeyByHandle(ctx, p.TenantID(), idOrHandle); err != nil {
		return Key{}, err
	}
	return visibleKey(ctx, r, p, key.ID)
}

// drafted is the key, or else a new one, with the draft on it, checked.
func drafted(ctx context.Context, r Reader, p Principal, was Key, d *Draft) (Key, error) {
	if d == nil {
		d = &Draft{}
	}
	var f faults
	k := was
	if was.ID == "" {
		k = draftKey(&NewKey{Name: "draft", Scope: d.Scope, ProjectID: d.ProjectID.Value})
		k.TenantID = p.TenantID()
		if err := (checks{r}).checkConfinement(ctx, &f, &k); err != nil {
			return Key{}, err
		}
	} else {
		f.fixed("scope", d.Scope.Set)
		f.fixed("projectId", d.ProjectID.Set)
	}
	patch(&k.Permissions, d.Permissions, nil)
	k.Permissions = distinct(k.Permissions)
	d.PolicyPatch.applyTo(&k.Policy, policy.Default())
	if err := (checks{r}).checkKey(ctx, &f, &k, &was); err != nil {
		return Key{}, err
	}
	return k, f.err()
}

func (f *faults) fixed(field string, set bool) {
	if set {
		f.add(field, "never changes on a key: leave it out, or leave out the key")
	}
}

// Verdicts decides of everything on offer, in its order.
func (st *Standing) Verdicts(o Offer) []Verdict {
	out := make([]Verdict, len(o.Items))
	for i, item := range o.Items {
		out[i] = Verdict{item, st.Grant.Decide(nil, &item.Tool, st.At)}
	}
	return out
}

// Explain decides of one thing on offer, with every rule, and says what a call of
// it must meet: its arguments, which are judged where the question has some, and
// limits, which are not. nil is what is not on offer.
func (st *Standing) Explain(o *Offered) (policy.Decision, []policy.RuleResult) {
	if o == nil {
		return st.Grant.Explain(nil, nil, st.At)
	}
	d, rules := st.Grant.Explain(nil, &o.Tool, st.At)
	demands := st.Grant.DemandsOfArguments(&o.Tool)
	if st.arguments != nil || !o.takesArguments() {
		if demands = st.Grant.DecideArguments(&o.Tool, st.arguments, st.projects); d.Allowed() && !demands.Allowed() {
			d = d.With(policy.RuleArgument)
		}
	}
	rules = append(rules, demands.Explain()...)
	if line, ok := st.Grant.ExplainLimits(&o.Tool); ok {
		rules = append(rules, line)
	}
	return d, rules
}
