package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// caller is one kind of who asks, and what it is answered.
type caller struct {
	name  string
	token string
	// rule is the status of the answer; 0 = the caller is not tried there.
	rule func(rest.Route) int
	// foreign: the path is about another tenant's things, so that a 404 has to
	// be the one of what is nowhere.
	foreign bool
	org     string // in X-Org-Slug
	about   targets
	who     keys.Principal // of the caller's tenant
}

func platform(r rest.Route) bool { return strings.HasSuffix(r.Needs, ":tenants") }
func open(r rest.Route) bool     { return r.Needs == rest.Anyone }
func wild(r rest.Route) bool     { return strings.Contains(r.Path, "{") }

// login tells a route about a sign-in, which is no tenant's until it is decided.
func login(r rest.Route) bool { return strings.Contains(r.Path, "/login/") }

// thing tells a route about one thing, and not only about a tenant.
func thing(r rest.Route) bool {
	return strings.Contains(strings.NewReplacer("{tenantId}", "", "{orgID}", "").Replace(r.Path), "{")
}

// The rules, first to last: who is nobody gets 401 wherever somebody is asked
// for; who may not use REST, or lacks the permission, 403; what is another
// tenant's is not there.
func (s *site) callers() []caller {
	s.t.Helper()
	always := func(status int) func(rest.Route) int {
		return func(r rest.Route) int {
			if open(r) {
				return r.Status
			}
			return status
		}
	}
	lacking := func(r rest.Route) int {
		if open(r) || r.Needs == "" {
			return r.Status
		}
		return http.StatusForbidden
	}
	theirs := func(r rest.Route) int {
		switch {
		case login(r):
			return r.Status
		case platform(r):
			return http.StatusForbidden
		case wild(r) && !open(r):
			return http.StatusNotFound
		}
		return r.Status
	}
	absent := func(about func(rest.Route) bool) func(rest.Route) int {
		return func(r rest.Route) int {
			if platform(r) || !about(r) || open(r) || login(r) && !about(rest.Route{}) {
				return 0
			}
			return http.StatusNotFound
		}
	}
	anywhere := func(rest.Route) bool { return true }
	// REST goes on working for a paused key, but what it hands out is paused too.
	// It may widen nothing for others, as any key with limits: that is asked of
	// the exchange of approveTools.
	resting := func(r rest.Route) int {
		switch r.Operation {
		case "rotateKey":
			return http.StatusForbidden
		case "approveTools":
			return 0
		}
		return r.Status
	}
	whole := func(r rest.Route) int { return r.Status }
	soon := s.clock.now().Add(time.Minute)
	everything := keys.Some([]string{"*", "manage:tenants"})
	full := keys.PolicyPatch{MCPReadOnly: keys.Some(false), MCPPreset: keys.Some(policy.PresetFullAccess)}
	paused := full
	paused.MCPActive = keys.Some(false)
	revoked := s.mint(keys.NewKey{Permissions: everything})
	_, err := s.svc.RevokeKey(s.ctx, s.op, revoked.Key.ID, keys.Revocation{})
	s.must(err)
	token := func(n keys.NewKey) string { return s.mint(n).Secret.Reveal() }
	foreigner, err := s.svc.Operator(s.ctx, "other")
	s.must(err)
	here, there := s.targets(s.op, rest.Routes()...), s.targets(foreigner, rest.Routes()...)
	within := there
	within.tenant = here.tenant
	all := []caller{
		{"nobody", "", always(401), false, "", here, s.op},
		{"garbage", "bwk_live_garbage", always(401), false, "", here, s.op},
		{"one character wrong", wrong(s.first.Secret.Reveal()), always(401), false, "", here, s.op},
		{"revoked", revoked.Secret.Reveal(), always(401), false, "", here, s.op},
		{"disabled", token(keys.NewKey{Permissions: everything, Enabled: keys.Some(false)}), always(401), false, "", here, s.op},
		{"expired", token(keys.NewKey{Permissions: everything, ExpiresAt: &soon}), always(401), false, "", here, s.op},
		{"mcp_only", token(keys.NewKey{Permissions: everything, Scope: keys.Some(policy.ScopeMCPOnly)}), always(403), false, "", here, s.op},
		{"without permissions", token(keys.NewKey{}), lacking, false, "", here, s.op},
		{"another tenant's key", s.foreign.Secret.Reveal(), theirs, true, "", here, foreigner},
		{"another tenant's things", s.first.Secret.Reveal(), absent(thing), true, "", within, s.op},
		{"another tenant in the path", s.first.Secret.Reveal(), absent(wild), true, "", there, s.op},
		{"naming another tenant", s.first.Secret.Reveal(), absent(anywhere), true, "other", here, s.op},
		{"naming the tenant", s.first.Secret.Reveal(), whole, false, "default", here, s.op},
		{"paused", token(keys.NewKey{Permissions: everything, PolicyPatch: paused}), resting, false, "", here, s.op},
		{"api", token(keys.NewKey{Permissions: everything, Scope: keys.Some(policy.ScopeAPI), PolicyPatch: full}), whole, false, "", here, s.op},
	}
	s.clock.advance(time.Minute)
	return all
}

// nowhereOrg is a tenant that is nowhere, in the place of one that is another's.
var nowhereOrg = map[string]string{"other": "nobody"}

func wrong(token string) string {
	return token[:len(token)-1] + map[bool]string{true: "b", false: "a"}[strings.HasSuffix(token, "a")]
}

// Every route answers every kind of caller as the rules say.
func TestMatrix(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		s := newSite(t, cfg)
		callers, cells := s.callers(), 0
		unauthenticated := map[string]string{} // by shape
		for _, route := range rest.Routes() {
			for _, c := range callers {
				status := c.rule(route)
				if status == 0 {
					continue
				}
				cells++
				t.Run(fmt.Sprintf("%s %s %s/%s", route.Shape, route.Method, strings.ReplaceAll(route.Path, "/", "|"), c.name), func(t *testing.T) {
					s.in(t).cell(route, c, status, unauthenticated)
				})
			}
		}
		if want := len(rest.Routes()) * 12; cells < want {
			t.Errorf("only %d cells of %d", cells, want)
		}
	})
}

// cell asks one route as one caller; a refusal is tried with either header.
func (s *site) cell(route rest.Route, c caller, status int, unauthenticated map[string]string) {
	s.t.Helper()
	for _, how := range []string{"Authorization", "X-Api-Key"} {
		if how != "Authorization" && status != http.StatusUnauthorized && status != http.StatusForbidden {
			continue
		}
		x := c.about
		if status == route.Status && (!open(route) || wild(route)) {
			x = s.targets(c.who, route) // a success uses them up, and sign-ins end
		}
		before := s.epoch()
		got := s.knock(route, x, c.token, how, c.org)
		if got.status != status {
			s.t.Fatalf("with %s: %d, want %d: %.300s", how, got.status, status, got.body)
		}
		if status >= 400 && s.epoch() != before {
			s.t.Error("a refusal changed something")
		}
		switch {
		case status == http.StatusUnauthorized:
			if unauthenticated[route.Shape] == "" {
				unauthenticated[route.Shape] = got.all()
			}
			if got.all() != unauthenticated[route.Shape] {
				s.t.Errorf("differs from another 401:\n%s\n%s", got.all(), unauthenticated[route.Shape])
			}
		case status == http.StatusForbidden:
			s.checkForbidden(route, c, got)
		case status == http.StatusNotFound && c.foreign:
			nowhere := s.unknown(x.tenant)
			if c.token != s.first.Secret.Reveal() || x.tenant != s.first.Key.TenantID {
				nowhere.tenant = unknownID
			}
			want := s.knock(route, nowhere, s.first.Secret.Reveal(), how, nowhereOrg[c.org])
			if got.all() != want.all() {
				s.t.Errorf("differs from what is nowhere:\n%.300s\n%.300s", got.all(), want.all())
			}
		}
	}
}

// knock sends a good request for the route.
func (s *site) knock(route rest.Route, x targets, token, how, org string) response {
	s.t.Helper()
	body := x.body(s, route)
	header := as("", body)
	if body != "" {
		header.Set("Content-Type", route.Kind())
	}
	if route.Operation == "startLogin" {
		s.clock.advance(time.Minute) // one host may not start many at once
	}
	if org != "" {
		header.Set("X-Org-Slug", org)
	}
	if token != "" {
		header.Set(how, map[string]string{"Authorization": "Bearer "}[how]+token)
	}
	r, err := s.send(route.Method, x.path(route), header, body)
	s.must(err)
	return r
}

// all is everything that tells one answer from another.
func (r response) all() string {
	header := r.header.Clone()
	header.Del("Date")
	return fmt.Sprint(r.status, header, r.body)
}

// spellings are how each shape names a permission.
var spellings = map[string]wire.Spelling{"ocore": wire.SpellingPrimary, "walletcrew": wire.SpellingWalletcrew, "capydb": wire.SpellingCapydb}

// checkForbidden holds a 403 to say what would be needed.
func (s *site) checkForbidden(route rest.Route, c caller, got response) {
	s.t.Helper()
	spelling, ok := spellings[route.Shape]
	if !ok {
		s.t.Fatalf("the shape %s has no spelling here: add it", route.Shape)
	}
	code, named := "permission_denied", spelling.Spell(route.Needs)
	switch c.name {
	case "mcp_only":
		code, named = "scope_denied", "scope"
	case "paused":
		code, named = "exceeds_rights", "paused"
	}
	if !strings.Contains(got.body, named) {
		s.t.Errorf("does not name %s: %s", named, got.body)
	}
	if problem := got.header.Get("Content-Type") == "application/problem+json"; problem && !strings.Contains(got.body, `"code":"`+code+`"`) {
		s.t.Errorf("the code is not %s: %s", code, got.body)
	}
}
