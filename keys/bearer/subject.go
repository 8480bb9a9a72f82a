package bearer

import (
	"errors"
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// subject makes the principal of verified claims, in the tenant that the token
// names, or else the request.
func (j *JWTs) subject(r *http.Request, c *claims) (keys.Principal, error) {
	named := tenantsOf(r)
	in := keys.SubjectClaims{Issuer: c.issuer, Subject: c.subject, Tenant: c.tenant,
		Permissions: c.permissions, ExpiresAt: c.expires}
	if in.Tenant == "" {
		if len(named) == 0 {
			return keys.Principal{}, keys.ErrNoTenant
		}
		in.Tenant = named[0]
	}
	p, err := j.cfg.Subjects.Subject(r.Context(), in)
	if c.tenant != "" && errors.Is(err, keys.ErrNotFound) {
		return keys.Principal{}, refused("its tenant is unknown")
	}
	if err != nil {
		return keys.Principal{}, err
	}
	tenant := p.Tenant()
	for _, name := range named {
		if name != tenant.ID && name != tenant.Slug {
			return keys.Principal{}, keys.ErrNotFound
		}
	}
	return p, nil
}

// tenantsOf are those that the request names, by id or slug: in X-Org-Slug, and
// in the paths that have a place for one.
func tenantsOf(r *http.Request) []string {
	var out []string
	for _, name := range append([]string{r.PathValue("tenantId"), r.PathValue("orgID")}, r.Header.Values("X-Org-Slug")...) {
		if name != "" {
			out = append(out, name)
		}
	}
	return out
}
