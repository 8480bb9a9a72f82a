package keys

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// SubjectClaims is what a verified JWT says of who bears it. Who makes one has
// checked the signature and all that RFC 8725 asks for.
type SubjectClaims struct {
	Issuer      string   // the configured issuer's URL; without |
	Subject     string   // unique at the issuer; 1 to 255 printable characters
	Tenant      string   // id or slug
	Permissions []string // view:<resource>, manage:<resource>, *; others give nothing
	ExpiresAt   time.Time
}

const jwtActor = "jwt:" // how actors begin that are subjects

// maxSubject is OpenID Connect's own limit of sub (Core 1.0, section 2).
const maxSubject = 255

// Subject answers the principal that a verified JWT makes in its tenant, for as
// long as the JWT counts. Its REST rights are the claim's permissions, its MCP
// policy is the tenant's JWTPolicy. Errors: ErrNotFound without such a tenant,
// ErrBadCredential for an expired JWT or a subject that can't be named in the
// audit trail, ErrUnavailable.
func (s *Service) Subject(ctx context.Context, c SubjectClaims) (Principal, error) {
	if !c.wellFormed() {
		return Principal{}, ErrBadCredential
	}
	hash := c.hash()
	if p, ok, err := s.cached(hash); ok || err != nil {
		return p, err
	}
	now := s.cfg.Now()
	for range loadTries {
		mark := s.cache.mark()
		var p Principal
		err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
			if p, _, err = c.principal(ctx, r); err == nil {
				p.is.epoch, err = r.AsOf(ctx)
			}
			return err
		})
		if err != nil {
			return Principal{}, err
		}
		if p.is.hash = hash; p.expired(now) {
			return Principal{}, ErrBadCredential
		}
		if s.cache.put(mark, p) {
			return p, nil
		}
	}
	return Principal{}, ErrUnavailable
}

func (c *SubjectClaims) wellFormed() bool {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	return c.Issuer != "" && !strings.Contains(c.Issuer, "|") && c.Subject != "" && len(c.Subject) <= maxSubject &&
		utf8.ValidString(c.Subject) && !strings.ContainsFunc(c.Subject, bad) && !holdsToken(c.Subject) &&
		c.Tenant != "" && !c.ExpiresAt.IsZero() && c.ExpiresAt.Year() < 10_000
}

// actor is one text for each subject: the issuer has no | in it.
func (c *SubjectClaims) actor() string {
	return jwtActor + strings.TrimPrefix(c.Issuer, "https://") + "|" + c.Subject
}

// hash is the place in the cache. That of a key is a MAC, so none can be both.
func (c *SubjectClaims) hash() [32]byte {
	text, err := json.Marshal(c)
	if err != nil { // strings, and a time that wellFormed has bounded
		panic(err)
	}
	return sha256.Sum256(append([]byte("jwt subject\n"), text...))
}

// principal reads the subject's rights as they stand in this snapshot, and its
// one layer.
func (c SubjectClaims) principal(ctx context.Context, r Reader) (Principal, policy.Subject, error) {
	tenant, err := r.Tenant(ctx, c.Tenant)
	if err != nil {
		return Principal{}, policy.Subject{}, err
	}
	layer, err := c.layer(ctx, r, tenant)
	if err != nil {
		return Principal{}, policy.Subject{}, err
	}
	c.Tenant = tenant.ID // whatever becomes of the slug
	return Principal{&identity{
		kind: principalSubject, tenant: &tenant, claims: &c, grant: policy.Compile(layer), until: c.ExpiresAt,
	}}, layer, nil
}

func (c *SubjectClaims) layer(ctx context.Context, r Reader, t Tenant) (policy.Subject, error) {
	presets, err := presetNamed(ctx, r, t.ID, t.JWTPolicy.Preset)
	if err != nil {
		return policy.Subject{}, err
	}
	return c.layerOf(t, presets), nil
}

// layerOf is the layer under a tenant's settings, of which the presets are those
// that its JWTPolicy names.
func (c *SubjectClaims) layerOf(t Tenant, presets map[string]policy.Preset) policy.Subject {
	s := policy.Subject{
		Enabled: true, TenantMCPEnabled: t.MCPEnabled, Scope: policy.ScopeFull,
		Permissions: c.Permissions, Policy: t.JWTPolicy, Presets: presets,
	}
	if !c.ExpiresAt.IsZero() {
		at := c.ExpiresAt
		s.ExpiresAt = &at
	}
	return s
}

// asSubject reads the subject's rights as they stand here. What
// it may hand on are its permissions and the tenant's JWTPolicy: whether that
// is paused closes the subject's own door to MCP only, and the token's end is
// not the end of the subject's rights.
func (e *snapshot) asSubject(ctx context.Context, p Principal) error {
	claims := p.Claims()
	who, layer, err := claims.principal(ctx, e)
	if err != nil {
		return credentialError(err)
	}
	who.is.hash, who.is.epoch = p.of().hash, p.of().epoch
	layer.Policy.Active, layer.ExpiresAt = true, nil
	e.who, e.layers = who, []policy.Subject{layer}
	return nil
}

// withinSession also ends a key that a subject mints over MCP with its token:
// there is no parent to take it along.
func (e *edit) withinSession(k *Key) {
	if e.mintsInSession(k) {
		at := e.who.of().until.UTC().Truncate(timeUnit)
		e.layers[0].ExpiresAt = &at
	}
}

// mintsInSession tells a key that a subject mints over MCP.
func (e *edit) mintsInSession(k *Key) bool { return e.who.IsSubject() && k.Source == sourceMCP }
