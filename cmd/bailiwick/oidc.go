package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
)

// oidcFlags say whose JWTs are credentials; without an issuer, nobody's.
type oidcFlags struct {
	issuers         []string
	audiences       []string
	tenantClaim     string
	permissionClaim string
	algorithms      []string
}

func (f *oidcFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.issuers, "oidc-issuer", nil, "`URL` of an OpenID Connect issuer whose JWTs are credentials; repeatable")
	flags.StringSliceVar(&f.audiences, "oidc-audience", nil, "`name` that a JWT for this server has in aud; repeatable, needed with --oidc-issuer")
	flags.StringVar(&f.tenantClaim, "oidc-tenant-claim", "tenant", "`claim` with the tenant's id or slug")
	flags.StringVar(&f.permissionClaim, "oidc-permission-claim", "scope", "`claim` with the permissions: a string with spaces between, or a list")
	flags.StringSliceVar(&f.algorithms, "oidc-algorithms", bearer.DefaultAlgorithms(), "signature `algorithms` to accept")
}

func (f *oidcFlags) check() error {
	if len(f.issuers) == 0 {
		if len(f.audiences) > 0 {
			return &usageError{"--oidc-audience needs an --oidc-issuer", "name the issuer of the tokens, or leave out both"}
		}
		return nil
	}
	for _, issuer := range f.issuers {
		if err := bearer.CheckIssuer(issuer); err != nil {
			return &usageError{"--oidc-issuer: " + err.Error(), "write it exactly as the issuer does, in iss and in its /.well-known/openid-configuration"}
		}
	}
	switch {
	case len(f.audiences) == 0 || slices.ContainsFunc(f.audiences, func(a string) bool { return strings.TrimSpace(a) == "" }):
		return &usageError{"--oidc-issuer needs an --oidc-audience", "it is what the issuer puts into aud of tokens for this server; without it, tokens for others would count here"}
	case f.tenantClaim == "" || f.permissionClaim == "" || f.tenantClaim == f.permissionClaim:
		return &usageError{"--oidc-tenant-claim and --oidc-permission-claim must be two names", "the defaults are tenant and scope"}
	case len(f.algorithms) == 0:
		return &usageError{"--oidc-algorithms names none", "the default is " + strings.Join(bearer.DefaultAlgorithms(), ",")}
	}
	if err := bearer.CheckAlgorithms(f.algorithms); err != nil {
		return &usageError{"--oidc-algorithms: " + err.Error(), "none and HS256 are never accepted: a public key would be their secret"}
	}
	return nil
}

// authenticator is what decides about credentials.
func (f *oidcFlags) authenticator(svc *keys.Service, log *zap.Logger) (bearer.Authenticator, error) {
	a := bearer.Authenticator{APIKeys: svc}
	if len(f.issuers) == 0 {
		return a, nil
	}
	var err error
	a.JWTs, err = bearer.NewJWTs(bearer.JWTConfig{
		Issuers: f.issuers, Audiences: f.audiences, TenantClaim: f.tenantClaim, PermissionClaim: f.permissionClaim,
		Algorithms: f.algorithms, Subjects: svc, Log: log,
	})
	return a, err
}

// tell serves where tokens come from, beside next, and makes next's 401 name it.
func (f *oidcFlags) tell(publicURL string, mux *http.ServeMux) (challenge func(http.Handler) http.Handler) {
	if len(f.issuers) == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	resource := bearer.Resource{Issuers: f.issuers, PublicURL: publicURL}
	mux.Handle(bearer.MetadataPath, resource)
	mux.Handle(bearer.MCPMetadataPath, resource)
	return resource.Challenge
}
