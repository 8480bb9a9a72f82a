package keys

import (
	"context"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	viewProjects   = "view:projects"
	manageProjects = "manage:projects"

	maxProjectSlug = 63
)

// CreateProject makes a project. It needs manage:projects; a key that is
// confined to a project may not.
func (s *Service) CreateProject(ctx context.Context, p Principal, n NewProject) (project Project, err error) {
	err = s.edit(ctx, p, operation{"project.create", manageProjects}, func(e *edit) error {
		if len(e.who.of().projects) > 0 {
			return &PermissionError{
				Fields: []policy.Problem{{Field: "projectId", Problem: "your key is confined to one project"}},
				Hint:   "use a key without a projectId",
			}
		}
		project, err = e.insertProject(ctx, n)
		return err
	})
	return project, err
}

// Project finds one by id, or else by slug. It needs view:projects.
func (s *Service) Project(ctx context.Context, p Principal, idOrSlug string) (project Project, err error) {
	err = s.read(ctx, p, operation{"project.get", viewProjects}, func(r Reader) error {
		project, err = findProject(ctx, r, p, idOrSlug)
		return err
	})
	return project, err
}

// Projects lists all that the principal may see. It needs view:projects.
func (s *Service) Projects(ctx context.Context, p Principal) (list []Project, err error) {
	err = s.read(ctx, p, operation{"project.list", viewProjects}, func(r Reader) error {
		list, err = r.Projects(ctx, p.TenantID())
		list = slices.DeleteFunc(list, func(x Project) bool { return !p.reaches(x.ID) })
		return err
	})
	return list, err
}

// UpdateProject changes a project. It needs manage:projects.
func (s *Service) UpdateProject(ctx context.Context, p Principal, id string, pp ProjectPatch) (project Project, err error) {
	err = s.edit(ctx, p, operation{"project.update", manageProjects}, func(e *edit) error {
		was, err := findProject(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if pp.IfVersion != 0 && pp.IfVersion != was.Version {
			return ErrVersion
		}
		project = was
		var f faults
		if pp.Slug.Null {
			f.add("slug", "must not be null")
		}
		if pp.Name.Null {
			f.add("name", "must not be null")
		}
		patch(&project.Slug, pp.Slug, was.Slug)
		patch(&project.Name, pp.Name, was.Name)
		if err := e.checkProject(ctx, &f, &project); err != nil {
			return err
		}
		if project.Slug != was.Slug {
			if err := e.mayRename(ctx); err != nil {
				return err
			}
		}
		changed, err := e.log(ctx, project.ID, was.fields(), project.fields())
		if err != nil || !changed {
			return err
		}
		project.UpdatedAt, project.Version = e.now, e.Epoch()
		return e.Writer.UpdateProject(ctx, &project)
	})
	return project, err
}

// mayRename checks that the slug is not what holds the principal's own calls: a key
// that is limited to projects names one by its slug in their arguments, and would
// reach another's name at an upstream by giving it to one of its own.
func (e *edit) mayRename(ctx context.Context) error {
	if e.who.IsOperator() || e.who.of().kind == principalPlatform || !e.who.of().grant.LimitsProjects() {
		return nil
	}
	all, err := e.Instances(ctx, e.who.TenantID())
	if err != nil {
		return err
	}
	named := func(r ToolRule) bool { return r.ProjectPointer != "" }
	if !slices.ContainsFunc(all, func(i Instance) bool { return slices.ContainsFunc(i.Tools, named) }) {
		return nil
	}
	return &PermissionError{
		Fields: []policy.Problem{{Field: "slug", Problem: "your key is limited to projects, and an instance's tools take their slugs as arguments"}},
		Hint:   "use a key without limits of projects",
	}
}

// DeleteProject of one that still has instances is a *ConflictError. It needs
// manage:projects.
func (s *Service) DeleteProject(ctx context.Context, p Principal, id string) error {
	return s.edit(ctx, p, operation{"project.delete", manageProjects}, func(e *edit) error {
		project, err := findProject(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if _, err := e.log(ctx, project.ID, project.fields(), nil); err != nil {
			return err
		}
		return e.Writer.DeleteProject(ctx, project.TenantID, project.ID)
	})
}

func findProject(ctx context.Context, r Reader, p Principal, idOrSlug string) (Project, error) {
	project, err := r.Project(ctx, p.TenantID(), idOrSlug)
	if isNotFound(err) {
		all, listErr := r.Projects(ctx, p.TenantID())
		if listErr != nil {
			return Project{}, listErr
		}
		if i := slices.IndexFunc(all, func(x Project) bool { return x.Slug == idOrSlug }); i >= 0 {
			project, err = all[i], nil
		}
	}
	if err == nil && !p.reaches(project.ID) {
		err = ErrNotFound
	}
	if err != nil {
		return Project{}, err
	}
	return project, nil
}

func (e *edit) insertProject(ctx context.Context, n NewProject) (Project, error) {
	if n.Slug == "" {
		n.Slug = slugOf(n.Name, "project", maxProjectSlug, "")
	}
	id, err := e.svc.ids.next()
	if err != nil {
		return Project{}, err
	}
	p := Project{
		ID: id, TenantID: e.who.of().tenant.ID, Slug: n.Slug, Name: n.Name,
		CreatedAt: e.now, UpdatedAt: e.now, Version: e.Epoch(),
	}
	var f faults
	if err := e.checkProject(ctx, &f, &p); err != nil {
		return Project{}, err
	}
	if err := e.InsertProject(ctx, &p); err != nil {
		return Project{}, err
	}
	_, err = e.log(ctx, p.ID, nil, p.fields())
	return p, err
}

func (e *edit) checkProject(ctx context.Context, f *faults, p *Project) error {
	f.slug("slug", p.Slug, maxProjectSlug)
	f.text("name", p.Name, 1, maxName)
	if err := f.err(); err != nil {
		return err
	}
	all, err := e.Projects(ctx, p.TenantID)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(x Project) bool { return x.Slug == p.Slug && x.ID != p.ID }) {
		return &ConflictError{Field: "slug", Problem: "another project has this slug"}
	}
	return nil
}

func (p *Project) fields() fields { return fields{"slug": p.Slug, "name": p.Name} }
