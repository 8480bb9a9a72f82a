package keys_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// claims are those of alice in the tenant default, for an hour.
func (h *house) claims(permissions ...string) keys.SubjectClaims {
	return keys.SubjectClaims{Issuer: "https://idp.example/realms/a", Subject: "alice", Tenant: "default",
		Permissions: permissions, ExpiresAt: h.clock.Now().Add(time.Hour)}
}

func (h *house) subject(permissions ...string) keys.Principal {
	h.t.Helper()
	p, err := h.svc.Subject(h.ctx, h.claims(permissions...))
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// jwtPolicy changes the tenant's policy of JWTs.
func (h *house) jwtPolicy(pp keys.PolicyPatch) {
	h.t.Helper()
	if _, err := h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{JWTPolicy: keys.Some(pp)}); err != nil {
		h.t.Fatalf("%v %+v", err, details(err))
	}
}

func reason(p keys.Principal, now time.Time) policy.Rule {
	return p.Grant().DecideKey(now).Reason()
}

func TestSubject(t *testing.T) {
	h := newHouse(t)
	p := h.subject("view:api-keys", "nonsense")
	if !p.Valid() || !p.IsSubject() || p.IsOperator() || p.KeyID() != "" || p.Chain() != nil || p.TenantID() != h.op.TenantID() {
		t.Errorf("%+v", p)
	}
	if want := "jwt:idp.example/realms/a|alice"; p.ID() != want || p.Actor() != want {
		t.Errorf("id %q, actor %q", p.ID(), p.Actor())
	}
	if c := p.Claims(); c.Tenant != h.op.TenantID() || c.Subject != "alice" {
		t.Errorf("claims %+v", c)
	}
	if !p.Scope().OpensAPI() || !p.Scope().OpensMCP() {
		t.Errorf("scope %q", p.Scope())
	}
	for permission, can := range map[string]bool{"view:api-keys": true, "manage:api-keys": false, "view:tenants": false, "nonsense": false} {
		if p.Can(permission, h.clock.Now()) != can {
			t.Errorf("%s: %t", permission, !can)
		}
	}
	if _, err := h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "x"}); !isDenied(err) {
		t.Errorf("without manage:api-keys: %v", err)
	}
	if h.subject("*").Can("view:tenants", h.clock.Now()) || !h.subject("*", "view:tenants").Can("view:tenants", h.clock.Now()) {
		t.Error("the platform's permissions count only when spelled out")
	}
	if h.login(h.token).ID() == "" || h.op.ID() != "" {
		t.Error("ids of key and operator")
	}
}

func TestSubjectThatDoesNotCount(t *testing.T) {
	h := newHouse(t)
	tests := map[string]struct {
		change func(*keys.SubjectClaims)
		want   error
	}{
		"no issuer":      {func(c *keys.SubjectClaims) { c.Issuer = "" }, keys.ErrBadCredential},
		"no subject":     {func(c *keys.SubjectClaims) { c.Subject = "" }, keys.ErrBadCredential},
		"no tenant":      {func(c *keys.SubjectClaims) { c.Tenant = "" }, keys.ErrBadCredential},
		"no expiry":      {func(c *keys.SubjectClaims) { c.ExpiresAt = time.Time{} }, keys.ErrBadCredential},
		"endless":        {func(c *keys.SubjectClaims) { c.ExpiresAt = time.Unix(1<<45, 0) }, keys.ErrBadCredential},
		"expired":        {func(c *keys.SubjectClaims) { c.ExpiresAt = h.clock.Now() }, keys.ErrBadCredential},
		"long subject":   {func(c *keys.SubjectClaims) { c.Subject = strings.Repeat("x", 256) }, keys.ErrBadCredential},
		"control":        {func(c *keys.SubjectClaims) { c.Subject = "a\x00b" }, keys.ErrBadCredential},
		"line":           {func(c *keys.SubjectClaims) { c.Subject = "a\nb" }, keys.ErrBadCredential},
		"broken UTF-8":   {func(c *keys.SubjectClaims) { c.Subject = "a\xff" }, keys.ErrBadCredential},
		"a key within":   {func(c *keys.SubjectClaims) { c.Subject = h.token.Reveal() }, keys.ErrBadCredential},
		"split issuer":   {func(c *keys.SubjectClaims) { c.Issuer = "https://idp.example|x" }, keys.ErrBadCredential},
		"unknown tenant": {func(c *keys.SubjectClaims) { c.Tenant = "nowhere" }, keys.ErrNotFound},
	}
	for name, tt := range tests {
		c := h.claims("*")
		tt.change(&c)
		if p, err := h.svc.Subject(h.ctx, c); !errors.Is(err, tt.want) || p.Valid() {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestSubjectOverMCP(t *testing.T) {
	h := newHouse(t)
	p := h.subject()
	if got := reason(p, h.clock.Now()); got != policy.RulePaused {
		t.Errorf("a new tenant's MCP is open to JWTs: %v", got)
	}
	h.jwtPolicy(keys.PolicyPatch{MCPActive: keys.Some(true)})
	p, err := h.svc.Refresh(h.ctx, p)
	if err != nil || !p.Grant().DecideKey(h.clock.Now()).Allowed() {
		t.Fatalf("opened: %v, %v", reason(p, h.clock.Now()), err)
	}
	if !h.subject().Grant().DecideKey(h.clock.Now()).Allowed() {
		t.Error("opened, and a new request does not see it")
	}
	if _, err := h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{MCPEnabled: keys.Some(false)}); err != nil {
		t.Fatal(err)
	}
	if p, err = h.svc.Refresh(h.ctx, p); err != nil || reason(p, h.clock.Now()) != policy.RuleTenantMCP {
		t.Errorf("kill switch: %v, %v", reason(p, h.clock.Now()), err)
	}
	h.clock.Advance(time.Hour)
	if _, err = h.svc.Refresh(h.ctx, p); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("expired: %v", err)
	}
	if reason(p, h.clock.Now()) != policy.RuleExpired || p.Can("view:api-keys", h.clock.Now()) {
		t.Error("an expired subject may do something")
	}
	if err := errOf(h.svc.Tenant(h.ctx, p)); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("expired, over REST: %v", err)
	}
}

// A subject is not asked for again while nothing changes.
func TestSubjectIsKept(t *testing.T) {
	h := newHouse(t)
	h.subject("*")
	before := h.store.asked.Load()
	h.subject("*")
	if asked := h.store.asked.Load() - before; asked != 0 {
		t.Errorf("the store was asked %d times", asked)
	}
	if h.subject("view:api-keys").Can("manage:api-keys", h.clock.Now()) {
		t.Error("another token of the subject has the first one's permissions")
	}
}

func TestSubjectEscalation(t *testing.T) {
	h := newHouse(t)
	manager := h.subject("manage:api-keys", "view:projects")
	wide := keys.Some([]string{"manage:projects"})
	if err := errOf(h.svc.CreateKey(h.ctx, manager, keys.NewKey{Name: "x", Permissions: wide})); !slices.Equal(fieldsOf(err), []string{"permissions"}) {
		t.Errorf("beyond its claim: %v", err)
	}
	made := h.mint(manager, keys.NewKey{PolicyPatch: full(), Permissions: keys.Some([]string{"view:projects"})}).Key
	if made.CreatedBy != manager.Actor() || made.ParentKeyID != "" || made.ExpiresAt != nil || !made.Policy.Active {
		t.Errorf("%+v", made)
	}
	over := h.mint(manager, keys.NewKey{Source: "mcp"}).Key
	if over.ExpiresAt == nil || over.ExpiresAt.After(manager.Claims().ExpiresAt) {
		t.Errorf("a key minted over MCP outlives the token: %v", over.ExpiresAt)
	}
	h.jwtPolicy(keys.PolicyPatch{MCPReadOnly: keys.Some(true)})
	if err := errOf(h.svc.CreateKey(h.ctx, manager, keys.NewKey{Name: "x", PolicyPatch: full()})); !slices.Contains(fieldsOf(err), "mcpReadOnly") {
		t.Errorf("beyond the tenant's jwtPolicy: %v %v", err, fieldsOf(err))
	}
	if err := errOf(h.svc.RotateKey(h.ctx, manager, made.ID, keys.Rotation{})); !isDenied(err) {
		t.Errorf("taking over a wider key: %v", err)
	}
	if err := errOf(h.svc.RevokeKey(h.ctx, manager, made.ID, keys.Revocation{})); err != nil {
		t.Errorf("revoking: %v", err)
	}
	if key, err := h.svc.Key(h.ctx, h.op, made.ID); err != nil || key.RevokedBy != manager.Actor() {
		t.Errorf("%+v, %v", key, err)
	}
}

func TestSubjectWidening(t *testing.T) {
	h := newHouse(t)
	open := keys.TenantPatch{JWTPolicy: keys.Some(keys.PolicyPatch{MCPActive: keys.Some(true)})}
	if err := errOf(h.svc.UpdateTenant(h.ctx, h.subject("manage:tenant"), open)); !slices.Equal(fieldsOf(err), []string{"jwtPolicy"}) {
		t.Errorf("without *: %v", err)
	}
	if err := errOf(h.svc.UpdateTenant(h.ctx, h.subject("*"), open)); err != nil {
		t.Errorf("with *: %v", err)
	}
	h.jwtPolicy(keys.PolicyPatch{MCPPreset: keys.Some("standard")})
	all := keys.TenantPatch{JWTPolicy: keys.Some(keys.PolicyPatch{MCPPreset: keys.Some("full_access")})}
	if err := errOf(h.svc.UpdateTenant(h.ctx, h.subject("*"), all)); !slices.Equal(fieldsOf(err), []string{"jwtPolicy"}) {
		t.Errorf("a restricted jwtPolicy can be widened by its subjects: %v", err)
	}
}

// The rights are read again in the transaction.
func TestSubjectEditsAsItStandsNow(t *testing.T) {
	h := newHouse(t)
	p := h.subject("manage:api-keys")
	other := h.service() // which does not know yet
	h.jwtPolicy(keys.PolicyPatch{MCPPreset: keys.Some("read_only"), MCPReadOnly: keys.Some(true)})
	if err := errOf(other.CreateKey(h.ctx, p, keys.NewKey{Name: "x", PolicyPatch: full()})); !isDenied(err) {
		t.Errorf("narrowed meanwhile: %v", err)
	}
	h.clock.Advance(2 * time.Hour)
	if err := errOf(h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "x"})); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("expired: %v", err)
	}
}

func TestSubjectInTheTrail(t *testing.T) {
	h := newHouse(t)
	p := h.subject("manage:api-keys")
	h.mint(p, keys.NewKey{})
	if err := errOf(h.svc.Projects(h.ctx, p)); !isDenied(err) {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(h.ctx)
	stop()
	_ = h.svc.Run(ctx) // writes what waits
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range events {
		if e.Actor == p.Actor() {
			seen[e.Action+" "+e.Decision] = e.KeyID == "" && e.KeyVersion == 0
		}
	}
	if !seen["key.create allow"] || !seen["project.list deny"] {
		t.Errorf("%v in %+v", seen, events)
	}
}
