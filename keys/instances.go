package keys

import (
	"context"
	"slices"
)

const (
	viewInstances   = "view:instances"
	manageInstances = "manage:instances"
)

// CreateInstance mounts an upstream. It needs manage:instances; stdio and a
// private address need manage:tenants too, and what gives the upstream more
// than a new instance has by default needs an unrestricted policy.
func (s *Service) CreateInstance(ctx context.Context, p Principal, spec InstanceSpec) (i Instance, err error) {
	err = s.edit(ctx, p, operation{"instance.create", manageInstances}, func(e *edit) error {
		i, err = e.createInstance(ctx, &spec)
		return err
	})
	return i, err
}

// Instance finds one by id, or else by slug. It needs view:instances.
func (s *Service) Instance(ctx context.Context, p Principal, idOrSlug string) (i Instance, err error) {
	err = s.read(ctx, p, operation{"instance.get", viewInstances}, func(r Reader) error {
		i, err = findInstance(ctx, r, p, idOrSlug)
		return err
	})
	return i, err
}

// Instances lists all that the principal may see. It needs view:instances.
func (s *Service) Instances(ctx context.Context, p Principal) (list []Instance, err error) {
	err = s.read(ctx, p, operation{"instance.list", viewInstances}, func(r Reader) error {
		list, err = r.Instances(ctx, p.TenantID())
		list = slices.DeleteFunc(list, func(i Instance) bool { return !p.reaches(i.ProjectID) })
		return err
	})
	return list, err
}

// UpdateInstance changes an instance; one from a config file, or of a program that
// embeds it, is a *ConflictError. It needs what CreateInstance needs.
func (s *Service) UpdateInstance(ctx context.Context, p Principal, id string, spec InstanceSpec) (i Instance, err error) {
	err = s.edit(ctx, p, operation{"instance.update", manageInstances}, func(e *edit) error {
		was, err := findInstance(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if spec.IfVersion != 0 && spec.IfVersion != was.Version {
			return ErrVersion
		}
		switch was.Source {
		case SourceConfig:
			return errFromConfig
		case SourceEmbedded:
			return errEmbedded
		}
		i, err = e.updateInstance(ctx, &was, &spec)
		return err
	})
	return i, err
}

// DeleteInstance unmounts an upstream; one from a config file is a
// *ConflictError. It needs manage:instances.
func (s *Service) DeleteInstance(ctx context.Context, p Principal, id string) error {
	return s.edit(ctx, p, operation{"instance.delete", manageInstances}, func(e *edit) error {
		i, err := findInstance(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if i.Source == SourceConfig {
			return errFromConfig
		}
		return e.deleteInstance(ctx, &i)
	})
}

var errFromConfig = &ConflictError{Problem: "the instance comes from the server's configuration file: change it there"}

var errEmbedded = &ConflictError{Problem: "the instance is part of a program, which says at its every start what it is: change it there"}

func findInstance(ctx context.Context, r Reader, p Principal, idOrSlug string) (Instance, error) {
	i, err := r.Instance(ctx, p.TenantID(), idOrSlug)
	if isNotFound(err) {
		all, listErr := r.Instances(ctx, p.TenantID())
		if listErr != nil {
			return Instance{}, listErr
		}
		if n := slices.IndexFunc(all, func(x Instance) bool { return x.Slug == idOrSlug }); n >= 0 {
			i, err = all[n], nil
		}
	}
	if err == nil && !p.reaches(i.ProjectID) {
		err = ErrNotFound
	}
	if err != nil {
		return Instance{}, err
	}
	return i, nil
}

func (e *edit) createInstance(ctx context.Context, spec *InstanceSpec) (Instance, error) {
	id, err := e.svc.ids.next()
	if err != nil {
		return Instance{}, err
	}
	i := Instance{
		ID: id, TenantID: e.who.of().tenant.ID, Source: spec.Source, Enabled: true,
		CreatedAt: e.now, UpdatedAt: e.now, Version: e.Epoch(),
	}
	if i.Source == "" {
		i.Source = SourceAPI
	}
	i.WriteEnabled = i.byOperator()
	i.TrustAnnotations = i.byOperator()
	written, err := e.written(ctx, spec, &Instance{TenantID: i.TenantID}, &i)
	if err != nil {
		return Instance{}, err
	}
	if err := e.InsertInstance(ctx, &i); err != nil {
		return Instance{}, err
	}
	_, err = e.log(ctx, i.ID, nil, i.fields(written))
	return i, err
}

func (e *edit) updateInstance(ctx context.Context, was *Instance, spec *InstanceSpec) (Instance, error) {
	i := *was
	old, err := e.svc.Credentials(*was)
	if err != nil {
		return Instance{}, err
	}
	written, err := e.written(ctx, spec, was, &i)
	if err != nil {
		return Instance{}, err
	}
	before, after := was.fields(old), i.fields(written)
	if written.equal(old) {
		i.Sealed = was.Sealed
	} else {
		after["credentials"] = "changed"
	}
	changed, err := e.log(ctx, i.ID, before, after)
	if err != nil || !changed {
		return i, err
	}
	i.UpdatedAt, i.Version = e.now, e.Epoch()
	return i, e.Writer.UpdateInstance(ctx, &i)
}

// written puts the specification on the instance, checks the outcome and what
// the principal may do, and seals the credentials.
func (e *edit) written(ctx context.Context, spec *InstanceSpec, was, i *Instance) (Credentials, error) {
	creds, err := e.svc.Credentials(*was)
	if err != nil {
		return Credentials{}, err
	}
	var f faults
	old := creds
	kept := spec.applyTo(&f, i, &creds)
	if err := e.chooseProject(ctx, &f, spec, was, i); err != nil {
		return Credentials{}, err
	}
	checkInstance(&f, i, &creds)
	if err := f.err(); err != nil {
		return Credentials{}, err
	}
	if err := e.slugFree(ctx, i); err != nil {
		return Credentials{}, err
	}
	if err := e.mayMount(was, i); err != nil {
		return Credentials{}, err
	}
	if err := e.unrestricted(append(widened(was, i, kept), swapped(was, old, creds)...)...); err != nil {
		return Credentials{}, err
	}
	i.Sealed, err = e.svc.sealCredentials(i, creds)
	return creds, err
}

func (e *edit) deleteInstance(ctx context.Context, i *Instance) error {
	if _, err := e.log(ctx, i.ID, i.fields(Credentials{}), nil); err != nil {
		return err
	}
	return e.Writer.DeleteInstance(ctx, i.TenantID, i.ID)
}

func (e *edit) slugFree(ctx context.Context, i *Instance) error {
	all, err := e.Instances(ctx, i.TenantID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(x Instance) bool { return x.Slug == i.Slug && x.ID != i.ID }) {
		return &ConflictError{Field: "slug", Problem: "another instance has this slug"}
	}
	return nil
}

// chooseProject reads the project by id; a new instance without one goes to the
// project that the principal is confined to, or to the tenant's only one.
func (e *edit) chooseProject(ctx context.Context, f *faults, spec *InstanceSpec, was, i *Instance) error {
	all, err := e.Projects(ctx, i.TenantID)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(p Project) bool { return !e.who.reaches(p.ID) })
	switch {
	case spec.ProjectID.Null:
		f.add("projectId", "must not be null")
	case spec.ProjectID.Set:
		i.ProjectID = spec.ProjectID.Value
		if i.ProjectID != was.ProjectID && !slices.ContainsFunc(all, func(p Project) bool { return p.ID == i.ProjectID }) {
			f.add("projectId", "no such project: %q", clip(i.ProjectID))
		}
	case was.ID != "":
	case len(all) == 1:
		i.ProjectID = all[0].ID
	default:
		f.add("projectId", "is missing: the tenant has %d projects", len(all))
	}
	return nil
}
