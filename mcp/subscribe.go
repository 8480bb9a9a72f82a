package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// subscribeLimit is how long subscriptions/listen decides, and waits for the upstreams,
// before it is acknowledged without what was not granted by then.
const subscribeLimit = 5 * time.Second

var (
	errTooManySubscriptions = errors.New("as many subscriptions as may be")
	errKeySubscriptions     = errors.New("as many subscriptions as the key may have")
)

// changeSubscription answers resources/subscribe and resources/unsubscribe, which
// were decided like a read of the uri.
func (g *Gateway) changeSubscription(ctx context.Context, r *request, v verdict) (reply, string) {
	if r.msg.method == methodUnsubscribe {
		// Whichever instance has the uri now: updates name nothing else.
		for _, s := range r.session.subs.list(func(s *subscription) bool { return s.uri == r.msg.uri }) {
			g.subs.drop(s)
		}
		return result(r.msg.id, json.RawMessage(`{}`)), outcomeOK
	}
	s := r.session
	s.ending.Do(func() { context.AfterFunc(s.ctx, func() { g.subs.end(s.subs) }) })
	err := g.subscribeTo(ctx, r, s.subs, v)
	var own *upstream.Error
	slug := v.entry.mount.instance.Load().Slug
	switch {
	case err == nil:
		return result(r.msg.id, json.RawMessage(`{}`)), outcomeOK
	case ctx.Err() != nil:
		return failure(r.msg.id, codeCanceled, "Request canceled", nil), outcomeCanceled
	case errors.Is(err, errTooManySubscriptions):
		return g.rateLimited(ctx, r, v, maxSubscribed, "resources subscribed to in one session"), "" // recorded already
	case errors.Is(err, errKeySubscriptions):
		return g.rateLimited(ctx, r, v, maxSubscribedKey, "resources subscribed to"), ""
	case errors.As(err, &own):
		return failure(r.msg.id, own.Code, own.Message, own.Data), outcomeUpstream
	case errors.Is(err, upstream.ErrUnsupported):
		return failure(r.msg.id, mcpgo.INVALID_PARAMS, "The instance "+slug+
			" does not tell when its resources change, so they can't be subscribed to. Read them again instead.", nil), outcomeUpstream
	}
	return failure(r.msg.id, mcpgo.INTERNAL_ERROR, unreachable(slug, err), nil), outcomeUpstream
}

// subscribeTo has an allowed uri's instance tell o of its updates. Once it is
// there, it is kept over reconnects and edits of the connection.
func (g *Gateway) subscribeTo(ctx context.Context, r *request, o *subscriptions, v verdict) error {
	release, ok := g.subs.quota.take(r.principal)
	if !ok {
		return errKeySubscriptions
	}
	i := v.entry.mount.instance.Load()
	s := &subscription{owner: o, uri: v.target.name, instance: i.ID, release: sync.OnceFunc(release), within: r.narrowing.session.With(onlyInstance(i.Slug))}
	added, ok := o.put(s)
	if !added {
		s.release()
	}
	switch {
	case !ok:
		return errTooManySubscriptions
	case !added:
		return nil
	}
	g.subs.add(s)
	for {
		m := g.mounts.get(s.instance)
		if m == nil || m.up == nil {
			g.subs.drop(s)
			return upstream.ErrDown
		}
		stop, err := m.up.Subscribe(ctx, s.uri)
		if err != nil {
			g.subs.drop(s)
			return err
		}
		g.subs.ask(s, m, stop)
		if now := g.mounts.get(s.instance); now == m || now != nil && g.subs.asked(s, now) {
			return nil
		} // else an edit has replaced it in the meantime
	}
}

// onlyInstance is a narrowing to one instance.
func onlyInstance(slug string) *policy.Session {
	n := policy.NoNarrowing()
	n.Instances = policy.Only(slug)
	s, err := policy.Narrow(n)
	if err != nil { // it has no pattern that could be wrong
		return &policy.Session{} // permits nothing
	}
	return s
}

// moveSubscriptions has a new connection of an instance asked for what its
// clients are subscribed to. It does not run yet, so it answers at once.
func (g *Gateway) moveSubscriptions(ctx context.Context, m *mount) {
	for _, s := range g.subs.ofInstance(m.instance.Load().ID) {
		var stop func()
		if m.up != nil {
			var err error
			if stop, err = m.up.Subscribe(ctx, s.uri); err != nil {
				g.subs.drop(s)
				continue
			}
		}
		g.subs.ask(s, m, stop)
	}
}

// noticed takes what an instance says to nobody in particular.
func (g *Gateway) noticed(m *mount, method string, params json.RawMessage) {
	switch method {
	case mcpgo.MethodNotificationTasksStatus:
		g.taskStatus(m, params)
		return
	case elicitationComplete:
		g.elicitationOver(m, params)
		return
	case mcpgo.MethodNotificationResourceUpdated:
	default:
		return
	}
	uri := rawjson.Text(rawjson.Field(params, "uri"))
	if len(uri) > maxUnlisted { // nobody may be told, and each part of it would be looked for
		return
	}
	for _, s := range g.subs.of(m.instance.Load().ID, uri) {
		s.owner.mark(update{uri, s})
	}
}

// mayTell decides, like a read of it now, whether a subscription's client may be
// told of a uri.
func (g *Gateway) mayTell(t *tenant, p keys.Principal, s *subscription, uri string) bool {
	v := decide(question{principal: p, session: s.within, catalog: t.catalog.Load(), method: string(mcpgo.MethodResourcesRead),
		era: eraModern, target: target{kindResource, uri}, now: g.cfg.Now()})
	return v.allowed() && v.entry.mount != nil && v.entry.mount.instance.Load().ID == s.instance
}

// reviewSubscriptions ends those that an edit has taken away. Nobody is told: it
// would tell of what is not to be known. Each may take as long as its instance's
// templates make it, so it is the stream's own work: what follow does for all
// tenants must not wait for it.
func (g *Gateway) reviewSubscriptions(st *stream) {
	if !st.moved.Swap(false) {
		return
	}
	p := st.current()
	for _, s := range st.subs.list(func(*subscription) bool { return true }) {
		if st.ctx.Err() != nil {
			return
		}
		if !g.mayTell(st.tenant, p, s, s.uri) {
			g.subs.drop(s)
		}
	}
}

// tellUpdates sends the updates that are due, each decided again.
func (g *Gateway) tellUpdates(st *stream, out sink, w wants) error {
	if st.subs == nil {
		return nil
	}
	due := st.subs.takeDue()
	if len(due) == 0 {
		return nil
	}
	p, err := g.svc.Refresh(st.ctx, st.current())
	switch {
	case errors.Is(err, keys.ErrBadCredential):
		st.cut()
		return nil
	case err != nil: // the store can't be asked: they wait for the next look
		st.subs.mark(due...)
		g.streams.later(st.tenant.id)
		return nil
	}
	for _, u := range due {
		if !g.mayTell(st.tenant, p, u.of, u.uri) {
			continue
		}
		params := json.RawMessage(`{}`)
		if w.subscription != nil {
			params = subscriptionMeta(w.subscription)
		}
		params = rawjson.Prepend(params, "uri", rawjson.Quote(u.uri))
		if err := out.send(notification(mcpgo.MethodNotificationResourceUpdated, params)); err != nil {
			return err
		}
	}
	return nil
}

// listenTo subscribes a subscriptions/listen to the uris that its filter names,
// and answers those that are granted: what is denied is left out like what is not
// there, and so is what its instance does not tell of.
func (g *Gateway) listenTo(ctx context.Context, r *request) (granted []string) {
	ctx, done := context.WithTimeout(ctx, subscribeLimit)
	defer done()
	var uris []string
	seen := map[string]bool{}
	_ = rawjson.Elements(rawjson.Field(rawjson.Field(r.msg.params, "notifications"), "resourceSubscriptions"), func(raw []byte) error {
		if uri := rawjson.Text(raw); uri != "" && !seen[uri] && len(uris) < maxSubscribed {
			seen[uri], uris = true, append(uris, uri)
		}
		return nil
	})
	agreed := make([]bool, len(uris))
	var work sync.WaitGroup
	for i, uri := range uris {
		if ctx.Err() != nil { // each costs what its instance's templates make it
			break
		}
		q := r.question(g)
		q.method, q.target = string(mcpgo.MethodResourcesRead), target{kindResource, uri}
		v := decide(q)
		if !v.allowed() {
			g.recordDenial(ctx, r, v, newReference())
			continue
		}
		if g.count(ctx, r, v) != nil { // like resources/subscribe; it is recorded
			continue
		}
		work.Go(func() { agreed[i] = g.subscribeTo(ctx, r, r.subs, v) == nil }) // at once: an upstream takes them together
	}
	work.Wait()
	for i, uri := range uris {
		if agreed[i] {
			granted = append(granted, uri)
		}
	}
	return granted
}
