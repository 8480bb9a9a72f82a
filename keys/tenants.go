package keys

import (
	"context"
	"reflect"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	viewTenant    = "view:tenant"
	manageTenant  = "manage:tenant"
	viewTenants   = "view:tenants"
	manageTenants = "manage:tenants"

	maxTenantSlug = 63
)

// Tenant answers the principal's own tenant. It needs view:tenant.
func (s *Service) Tenant(ctx context.Context, p Principal) (tenant Tenant, err error) {
	err = s.read(ctx, p, operation{"tenant.get", viewTenant}, func(r Reader) error {
		tenant, err = r.Tenant(ctx, p.TenantID())
		return err
	})
	return tenant, err
}

// UpdateTenant changes the principal's own tenant. It needs manage:tenant;
// switching MCP or auditArguments on, and a jwtPolicy that is not within what it was, need an
// unrestricted policy too.
func (s *Service) UpdateTenant(ctx context.Context, p Principal, tp TenantPatch) (tenant Tenant, err error) {
	own := func(e *edit) (*edit, error) { return e, nil }
	return s.updateTenant(ctx, p, manageTenant, own, tp)
}

// updateTenant changes the tenant that the edit is brought into.
func (s *Service) updateTenant(ctx context.Context, p Principal, needs string, into func(*edit) (*edit, error), tp TenantPatch) (tenant Tenant, err error) {
	err = s.edit(ctx, p, operation{"tenant.update", needs}, func(e *edit) error {
		if e, err = into(e); err != nil {
			return err
		}
		was := e.who.Tenant()
		if tp.IfVersion != 0 && tp.IfVersion != was.Version {
			return ErrVersion
		}
		t := was
		var f faults
		if tp.Name.Null {
			f.add("name", "must not be null")
		}
		patch(&t.Name, tp.Name, was.Name)
		patch(&t.MCPEnabled, tp.MCPEnabled, true)
		patch(&t.AuditArguments, tp.AuditArguments, false)
		f.text("name", t.Name, 1, maxName)
		if err := e.patchJWTPolicy(ctx, &f, &t, tp.JWTPolicy); err != nil {
			return err
		}
		if err := f.err(); err != nil {
			return err
		}
		widened, err := e.widenedTenant(ctx, &was, &t)
		if err != nil {
			return err
		}
		if err := e.unrestricted(widened...); err != nil {
			return err
		}
		tenant = t
		changed, err := e.log(ctx, t.ID, was.fields(), t.fields())
		if err != nil || !changed {
			return err
		}
		tenant.UpdatedAt, tenant.Version = e.now, e.Epoch()
		return e.Writer.UpdateTenant(ctx, &tenant)
	})
	return tenant, err
}

func (e *edit) patchJWTPolicy(ctx context.Context, f *faults, t *Tenant, o Opt[PolicyPatch]) error {
	if !o.Set {
		return nil
	}
	was := t.JWTPolicy
	if o.Null {
		t.JWTPolicy = DefaultJWTPolicy()
	}
	o.Value.applyTo(&t.JWTPolicy, DefaultJWTPolicy())
	var own faults
	if err := (checks{e}).checkPolicy(ctx, &own, t.ID, &t.JWTPolicy, &was); err != nil {
		return err
	}
	for _, p := range own {
		*f = append(*f, policy.Problem{Field: "jwtPolicy." + p.Field, Problem: p.Problem})
	}
	return nil
}

// widenedTenant names the fields that give somebody more than before.
func (e *edit) widenedTenant(ctx context.Context, was, becomes *Tenant) (fields []string, err error) {
	if becomes.MCPEnabled && !was.MCPEnabled {
		fields = append(fields, "mcpEnabled")
	}
	if becomes.AuditArguments && !was.AuditArguments { // to whoever reads the trail
		fields = append(fields, "auditArguments")
	}
	everything := SubjectClaims{Permissions: []string{"*", manageTenants}}
	if reflect.DeepEqual(policyFields(&was.JWTPolicy), policyFields(&becomes.JWTPolicy)) {
		return fields, nil
	}
	before, err := everything.layer(ctx, e, *was)
	if err != nil {
		return nil, err
	}
	after, err := everything.layer(ctx, e, *becomes)
	if err != nil {
		return nil, err
	}
	if !narrows(before, after) || !keepsCounts(&was.JWTPolicy, &becomes.JWTPolicy) {
		fields = append(fields, "jwtPolicy")
	}
	return fields, nil
}

// Tenants lists all tenants of the platform. It needs view:tenants.
func (s *Service) Tenants(ctx context.Context, p Principal) (list []Tenant, err error) {
	err = s.read(ctx, p, operation{"tenant.list", viewTenants}, func(r Reader) error {
		list, err = r.Tenants(ctx)
		return err
	})
	return list, err
}

// CreateTenant makes a tenant with a project "default". It needs manage:tenants.
func (s *Service) CreateTenant(ctx context.Context, p Principal, n NewTenant) (tenant Tenant, err error) {
	err = s.edit(ctx, p, operation{"tenant.create", manageTenants}, func(e *edit) error {
		tenant, err = e.insertTenant(ctx, n)
		return err
	})
	return tenant, err
}

// insertTenant writes the tenant and its first project; the audit entries are
// the new tenant's.
func (e *edit) insertTenant(ctx context.Context, n NewTenant) (Tenant, error) {
	var f faults
	f.text("name", n.Name, 1, maxName)
	if n.Slug == "" {
		n.Slug = slugOf(n.Name, "tenant", maxTenantSlug, "")
	}
	f.slug("slug", n.Slug, maxTenantSlug)
	if err := f.err(); err != nil {
		return Tenant{}, err
	}
	if _, err := e.Tenant(ctx, n.Slug); err == nil {
		return Tenant{}, &ConflictError{Field: "slug", Problem: "another tenant has this slug"}
	} else if !isNotFound(err) {
		return Tenant{}, err
	}
	id, err := e.svc.ids.next()
	if err != nil {
		return Tenant{}, err
	}
	t := Tenant{
		ID: id, Slug: n.Slug, Name: n.Name, MCPEnabled: true, JWTPolicy: DefaultJWTPolicy(),
		CreatedAt: e.now, UpdatedAt: e.now, Version: e.Epoch(),
	}
	if err := e.InsertTenant(ctx, &t); err != nil {
		return Tenant{}, err
	}
	in := *e
	in.who, in.action = in.who.in(t), "tenant.create"
	if _, err := in.log(ctx, t.ID, nil, t.fields()); err != nil {
		return Tenant{}, err
	}
	in.action = "project.create"
	_, err = in.insertProject(ctx, NewProject{Slug: defaultSlug, Name: "Default"})
	return t, err
}

func (t *Tenant) fields() fields {
	return fields{"slug": t.Slug, "name": t.Name, "mcpEnabled": t.MCPEnabled, "auditArguments": t.AuditArguments, "jwtPolicy": policyFields(&t.JWTPolicy)}
}
