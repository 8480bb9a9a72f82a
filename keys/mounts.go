package keys

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// What follows is for the gateway, which acts for no principal when it mounts
// upstreams.

// Mounts lists every enabled and disabled instance of every tenant.
func (s *Service) Mounts(ctx context.Context) (list []Instance, err error) {
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		list, err = r.Instances(ctx, "")
		return err
	})
	return list, err
}

// ProjectNames are a tenant's projects as the arguments of calls name them.
func (s *Service) ProjectNames(ctx context.Context, tenantID string) (names policy.Projects, err error) {
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		names, err = projectNames(ctx, r, tenantID)
		return err
	})
	return names, err
}

func projectNames(ctx context.Context, r Reader, tenantID string) (policy.Projects, error) {
	list, err := r.Projects(ctx, tenantID)
	if err != nil {
		return nil, err
	}
	names := policy.Projects{}
	for _, p := range list {
		names.Add(p.ID, p.Slug)
	}
	return names, nil
}

// PrivateUpstreamAllowed tells whether an instance may be on a loopback,
// link-local or private address (see PrivateAddress): the one who wrote it held
// manage:tenants, or the server runs with AllowPrivateUpstreams.
func (s *Service) PrivateUpstreamAllowed(i Instance) bool {
	return i.AllowPrivate || s.cfg.AllowPrivateUpstreams
}

// Definitions are what is stored of an instance's tools.
func (s *Service) Definitions(ctx context.Context, i Instance) (defs []Definition, err error) {
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		defs, err = r.Definitions(ctx, i.TenantID, i.ID)
		return err
	})
	return defs, err
}

// Pins are what was approved of an instance's tools, of those that are gone too.
func (s *Service) Pins(ctx context.Context, i Instance) (pins []Pin, err error) {
	err = s.cfg.Store.Read(ctx, func(r Reader) error {
		pins, err = r.Pins(ctx, i.TenantID, i.ID)
		return err
	})
	return pins, err
}

// SaveDefinitions stores what an upstream announced, and answers it with the
// pins that it is held against.
func (s *Service) SaveDefinitions(ctx context.Context, i Instance, defs []Definition) ([]Definition, error) {
	return s.cfg.Store.SaveDefinitions(ctx, i.TenantID, i.ID, defs)
}
