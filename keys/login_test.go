package keys_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// start begins a sign-in that asks for the given scopes.
func (h *house) start(scopes ...string) (keys.Login, keys.Secret) {
	h.t.Helper()
	l, poll, err := h.svc.StartLogin(h.ctx, keys.NewLogin{Name: "ci", DeviceName: "laptop", Scopes: scopes})
	if err != nil {
		h.t.Fatal(err)
	}
	return l, poll
}

// poll polls and checks the state; it answers the key that was handed out.
func (h *house) poll(id string, poll keys.Secret, want keys.LoginState) *keys.Issued {
	h.t.Helper()
	l, issued, err := h.svc.PollLogin(h.ctx, id, poll)
	if err != nil || l.ID != id || l.State != want {
		h.t.Errorf("polled %+v, %v, want %s", l, err, want)
	}
	return issued
}

// canaryLogin is a whole sign-in; it answers its secrets.
func (h *house) canaryLogin(say func(any, error)) []keys.Secret {
	h.t.Helper()
	l, poll := h.start("view:projects")
	say(l, nil)
	say(poll, nil)
	say(h.svc.LoginForApproval(h.ctx, h.first, l.ID))
	approved, key, err := h.svc.ApproveLogin(h.ctx, h.first, l.ID, keys.Approval{})
	say(approved, err)
	say(key, err)
	_, _, err = h.svc.PollLogin(h.ctx, l.ID, poll+"x")
	say(nil, err)
	_, issued, err := h.svc.PollLogin(h.ctx, l.ID, poll)
	say(issued, err)
	if issued == nil {
		h.t.Fatal("nothing was handed out")
	}
	_, _, err = h.svc.StartLogin(h.ctx, keys.NewLogin{Name: poll.Reveal()})
	say(nil, err)
	return []keys.Secret{poll, issued.Secret}
}

func TestLogin(t *testing.T) {
	h := newHouse(t)
	at := h.clock.Now().Add(time.Hour)
	before := h.epoch()
	l, poll, err := h.svc.StartLogin(h.ctx, keys.NewLogin{
		Name: "ci", DeviceName: "laptop", Scopes: []string{"view:projects", "view:audit", "view:projects"}, KeyExpiresAt: &at,
	})
	if err != nil || l.State != keys.LoginPending || l.Source != "cli" || !slices.Equal(l.Scopes, []string{"view:projects", "view:audit"}) ||
		!l.ExpiresAt.Equal(h.clock.Now().Add(10*time.Minute)) || !strings.HasPrefix(poll.Reveal(), "bwk_poll_") {
		t.Fatalf("%+v, %v", l, err)
	}
	if h.epoch() != before {
		t.Error("a sign-in uses an epoch")
	}
	if issued := h.poll(l.ID, poll, keys.LoginPending); issued != nil {
		t.Error("handed out before it was approved")
	}
	if got, err := h.svc.LoginForApproval(h.ctx, h.first, l.ID); err != nil || got.Name != "ci" || got.DeviceName != "laptop" || len(got.Scopes) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	approved, key, err := h.svc.ApproveLogin(h.ctx, h.first, l.ID, keys.Approval{})
	if err != nil || approved.State != keys.LoginApproved || approved.KeyID != key.ID || approved.TenantID != h.op.TenantID() || h.epoch() != before+1 {
		t.Fatalf("%+v, %v", approved, err)
	}
	if key.Name != "ci" || key.DeviceName != "laptop" || key.Source != "cli" || key.Policy.Active || !key.Policy.ReadOnly || !key.Enabled ||
		!slices.Equal(key.Permissions, l.Scopes) || key.ExpiresAt == nil || !key.ExpiresAt.Equal(at) || key.CreatedBy != h.first.KeyID() {
		t.Errorf("%+v", key)
	}
	issued := h.poll(l.ID, poll, keys.LoginApproved)
	if issued == nil || issued.Key.ID != key.ID || !strings.HasPrefix(issued.Secret.Reveal(), key.Prefix) {
		t.Fatalf("%+v", issued)
	}
	if p := h.login(issued.Secret); p.KeyID() != key.ID || !p.Can("view:audit", h.clock.Now()) {
		t.Errorf("%+v", p.Key())
	}
	for range 2 {
		if again := h.poll(l.ID, poll, keys.LoginConsumed); again != nil {
			t.Error("handed out twice")
		}
	}
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Kind: "change", Limit: 3})
	if err != nil || len(events) != 3 {
		t.Fatal(err)
	}
	for i, want := range []struct{ action, subject, actor string }{
		{"login.collect", key.ID, key.ID}, {"login.approve", l.ID, h.first.KeyID()}, {"key.create", key.ID, h.first.KeyID()},
	} {
		if e := events[i]; e.Action != want.action || e.Subject != want.subject || e.Actor != want.actor {
			t.Errorf("audit %+v, want %+v", e, want)
		}
	}
	h.clock.Advance(10 * time.Minute)
	if _, _, err := h.svc.PollLogin(h.ctx, l.ID, poll); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("expired: %v", err)
	}
	h.login(issued.Secret)
}

// An unknown id, a wrong poll token and an expired sign-in are told apart by nothing.
func TestPollTellsNothing(t *testing.T) {
	h := newHouse(t)
	l, poll := h.start()
	other, otherPoll := h.start()
	if _, _, err := h.svc.ApproveLogin(h.ctx, h.first, other.ID, keys.Approval{}); err != nil {
		t.Fatal(err)
	}
	refused := func(name, id string, poll keys.Secret) {
		t.Helper()
		got, issued, err := h.svc.PollLogin(h.ctx, id, poll)
		if err != keys.ErrNotFound || got.ID != "" || issued != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	refused("unknown", "nothing", poll)
	refused("no id", "", poll)
	refused("no token", l.ID, "")
	refused("a wrong token", l.ID, poll[:len(poll)-1])
	refused("another's token", l.ID, otherPoll)
	refused("another's token, approved", other.ID, poll)
	refused("an API key", l.ID, h.token)
	if _, err := h.svc.Authenticate(h.ctx, poll); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("a poll token as a key: %v", err)
	}
	h.clock.Advance(10*time.Minute - time.Microsecond)
	h.poll(l.ID, poll, keys.LoginPending)
	h.clock.Advance(time.Microsecond)
	refused("expired", l.ID, poll)
	refused("expired with a key", other.ID, otherPoll)
}

func TestLoginRequests(t *testing.T) {
	h := newHouse(t)
	past := h.clock.Now()
	for _, c := range []struct {
		n      keys.NewLogin
		fields []string
	}{
		{keys.NewLogin{Name: "a\x00"}, []string{"name"}},
		{keys.NewLogin{Name: h.token.Reveal()}, []string{"name"}},
		{keys.NewLogin{Name: "a", DeviceName: strings.Repeat("x", 201)}, []string{"deviceName"}},
		{keys.NewLogin{Name: "a \u202eb", DeviceName: "a\u2028b"}, []string{"name", "deviceName"}},
		{keys.NewLogin{Name: "a", Scopes: []string{"projects:read"}, Source: "moon", KeyExpiresAt: &past}, []string{"source", "scopes", "expiresAt"}},
	} {
		if _, _, err := h.svc.StartLogin(h.ctx, c.n); !slices.Equal(fieldsOf(err), c.fields) {
			t.Errorf("%+v: %v", c.n, err)
		}
	}
	for want, n := range map[string]keys.NewLogin{"laptop": {DeviceName: "laptop"}, "agent": {Source: "agent"}, "cli": {}} {
		if l, _, err := h.svc.StartLogin(h.ctx, n); err != nil || l.Name != want {
			t.Errorf("%+v: %+v, %v", n, l, err)
		}
	}
}

func TestLoginsAreBounded(t *testing.T) {
	h := newHouse(t)
	var last keys.Login
	for range 1000 {
		last, _ = h.start()
	}
	_, _, err := h.svc.StartLogin(h.ctx, keys.NewLogin{})
	var busy *keys.BusyError
	if !errors.As(err, &busy) || busy.RetryAfter <= 0 {
		t.Fatalf("%v", err)
	}
	if err := h.svc.DenyLogin(h.ctx, h.first, last.ID); err != nil { // one that is decided gives its place free
		t.Fatal(err)
	}
	h.start()
	h.clock.Advance(10 * time.Minute)
	h.start()
}

func TestApprovalIsWithinWhatWasAsked(t *testing.T) {
	h := newHouse(t)
	project := h.project("p")
	l, poll := h.start("manage:projects", "view:instances")
	for name, a := range map[string]keys.Approval{
		"more":           {Permissions: keys.Some([]string{"view:projects", "manage:instances"})},
		"everything":     {Permissions: keys.Some([]string{"*"})},
		"unknown":        {Permissions: keys.Some([]string{"view:moon"})},
		"another tenant": {ProjectID: "none"},
	} {
		_, _, err := h.svc.ApproveLogin(h.ctx, h.first, l.ID, a)
		if want := map[bool]string{true: "projectId", false: "permissions"}[a.ProjectID != ""]; !slices.Equal(fieldsOf(err), []string{want}) || !isInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.poll(l.ID, poll, keys.LoginPending)
	_, key, err := h.svc.ApproveLogin(h.ctx, h.first, l.ID, keys.Approval{ProjectID: project.ID, Permissions: keys.Some([]string{"view:projects"})})
	if err != nil || key.ProjectID != project.ID || !slices.Equal(key.Permissions, []string{"view:projects"}) {
		t.Errorf("%+v, %v", key, err)
	}
	if issued := h.poll(l.ID, poll, keys.LoginApproved); issued == nil || issued.Key.ProjectID != project.ID {
		t.Errorf("%+v", issued)
	}
	wide, _ := h.start("*")
	if _, _, err := h.svc.ApproveLogin(h.ctx, h.manager(full()), wide.ID, keys.Approval{}); !isDenied(err) || !slices.Equal(fieldsOf(err), []string{"permissions"}) {
		t.Errorf("beyond one's own rights: %v", err)
	}
	platform, _ := h.start("view:tenants")
	if _, _, err := h.svc.ApproveLogin(h.ctx, h.first, platform.ID, keys.Approval{Permissions: keys.Null[[]string]()}); err != nil {
		t.Errorf("as asked: %v", err)
	}
}
