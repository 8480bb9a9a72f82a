package keys

import (
	"context"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ApplyConfig brings the instances of source "config" to what the file says;
// those no longer named are deleted. A specification names its project by id or
// slug; without one it goes to the tenant's only project or to "default", and a
// slug that no project has makes that project. Nothing is written where nothing
// differs. Only the operator may.
func (s *Service) ApplyConfig(ctx context.Context, p Principal, specs []InstanceSpec) error {
	if p.Valid() && !p.IsOperator() {
		return &PermissionError{Needed: manageTenants, Hint: "only the server's own configuration is applied"}
	}
	return s.edit(ctx, p, operation{"instance.update", manageInstances}, func(e *edit) error {
		all, err := e.Instances(ctx, e.who.of().tenant.ID)
		if err != nil {
			return err
		}
		named := map[string]bool{}
		for _, spec := range specs {
			if named[spec.Slug.Value] {
				return &ConflictError{Field: "slug", Problem: "the configuration names " + clip(spec.Slug.Value) + " twice"}
			}
			named[spec.Slug.Value] = true
		}
		if err := e.dropUnnamed(ctx, all, named); err != nil {
			return err
		}
		for _, spec := range specs {
			if _, err := e.applySpec(ctx, all, spec, SourceConfig); err != nil {
				return inSpec(spec.Slug.Value, err)
			}
		}
		return nil
	})
}

func (e *edit) dropUnnamed(ctx context.Context, all []Instance, named map[string]bool) error {
	in := *e
	in.action = "instance.delete"
	for n := range all {
		if all[n].Source == SourceConfig && !named[all[n].Slug] {
			if err := in.deleteInstance(ctx, &all[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Embed brings the one instance that a program itself is to what the specification
// says, and answers it. The slug is required, the transport is always
// TransportEmbedded, and the project is chosen as in ApplyConfig. Nothing is written
// where nothing differs. A slug that another instance has is a *ConflictError. Only
// the operator may.
func (s *Service) Embed(ctx context.Context, p Principal, spec InstanceSpec) (i Instance, err error) {
	if p.Valid() && !p.IsOperator() {
		return Instance{}, &PermissionError{Needed: manageTenants, Hint: "only a program on the store itself is embedded"}
	}
	spec.Transport = Some(TransportEmbedded)
	err = s.edit(ctx, p, operation{"instance.update", manageInstances}, func(e *edit) error {
		all, err := e.Instances(ctx, e.who.of().tenant.ID)
		if err != nil {
			return err
		}
		i, err = e.applySpec(ctx, all, spec, SourceEmbedded)
		return err
	})
	return i, err
}

// applySpec makes the instance of that source that the specification is about, or
// brings it to what it says.
func (e *edit) applySpec(ctx context.Context, all []Instance, spec InstanceSpec, source string) (Instance, error) {
	if err := e.configProject(ctx, &spec); err != nil {
		return Instance{}, err
	}
	spec.Source, spec.IfVersion = source, 0
	n := slices.IndexFunc(all, func(i Instance) bool { return i.Slug == spec.Slug.Value })
	if n < 0 {
		in := *e
		in.action = "instance.create"
		return in.createInstance(ctx, &spec)
	}
	if all[n].Source != source {
		return Instance{}, &ConflictError{Field: "slug", Problem: elsewhere[source]}
	}
	return e.updateInstance(ctx, &all[n], spec.complete())
}

// elsewhere says, by the source of who asks, that the slug is another's.
var elsewhere = map[string]string{
	SourceConfig:   "another instance, not from the configuration, has this slug",
	SourceEmbedded: "another instance, not of a program that embeds it, has this slug",
}

// complete resets what the file does not say, so that a line taken out of it
// counts as well.
func (spec InstanceSpec) complete() *InstanceSpec {
	setNull(&spec.Command)
	setNull(&spec.Args)
	setNull(&spec.URL)
	setNull(&spec.Env)
	setNull(&spec.Headers)
	setNull(&spec.Enabled)
	setNull(&spec.WriteEnabled)
	setNull(&spec.TrustAnnotations)
	setNull(&spec.QuarantineNew)
	setNull(&spec.Tools)
	return &spec
}

func setNull[T any](o *Opt[T]) {
	if !o.Set {
		*o = Null[T]()
	}
}

// configProject turns the project's name in the file into its id.
func (e *edit) configProject(ctx context.Context, spec *InstanceSpec) error {
	all, err := e.Projects(ctx, e.who.of().tenant.ID)
	if err != nil {
		return err
	}
	name := spec.ProjectID.Value
	if name == "" {
		if name = defaultSlug; len(all) == 1 {
			name = all[0].ID
		}
	}
	n := slices.IndexFunc(all, func(p Project) bool { return p.ID == name || p.Slug == name })
	if n >= 0 {
		spec.ProjectID = Some(all[n].ID)
		return nil
	}
	in := *e
	in.action = "project.create"
	project, err := in.insertProject(ctx, NewProject{Slug: name, Name: name})
	spec.ProjectID = Some(project.ID)
	return err
}

// inSpec tells which of the file's servers an error is about.
func inSpec(slug string, err error) error {
	if invalid, ok := err.(*InvalidError); ok {
		out := &InvalidError{}
		for _, p := range invalid.Fields {
			out.Fields = append(out.Fields, policy.Problem{Field: "mcpServers." + clip(slug) + "." + p.Field, Problem: p.Problem})
		}
		return out
	}
	if conflict, ok := err.(*ConflictError); ok {
		return &ConflictError{Field: "mcpServers." + clip(slug), Problem: conflict.Problem}
	}
	return err
}
