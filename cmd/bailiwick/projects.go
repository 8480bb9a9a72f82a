package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) projects() *cobra.Command {
	return group("projects", "Make and manage projects, which group instances",
		c.projectsList(), c.projectsGet(), c.projectsCreate(), c.projectsUpdate(),
		c.deleter("project", "Delete a project that has no instances", deleteProject))
}

func (c *cli) projectsList() *cobra.Command {
	return c.onStore("list", "List the tenant's projects", exactly(), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			all, err := svc.Projects(ctx, p)
			if err != nil {
				return err
			}
			rows := make([]row, len(all))
			for i, one := range all {
				rows[i] = row{one.Slug, one.Name, one.ID}
			}
			return out.write(c.out, wire.ProjectListOf(all, len(all)), row{"SLUG", "NAME", "ID"}, rows)
		}
	})
}

func (c *cli) writeProject(out *output, one keys.Project) error {
	return out.write(c.out, wire.ProjectOf(one), nil, []row{{"id", one.ID}, {"slug", one.Slug}, {"name", one.Name},
		{"created", when(&one.CreatedAt)}, {"version", fmt.Sprint(one.Version)}})
}

func (c *cli) projectsGet() *cobra.Command {
	return c.onStore("get PROJECT", "Show a project, by id or slug", exactly("PROJECT"), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			one, err := svc.Project(ctx, p, args[0])
			if err != nil {
				return absent(err, "project", args[0])
			}
			return c.writeProject(out, one)
		}
	})
}

func (c *cli) projectsCreate() *cobra.Command {
	return c.onStore("create", "Make a project", exactly(), func(cmd *cobra.Command, out *output) act {
		var n keys.NewProject
		cmd.Flags().StringVar(&n.Name, "name", "", "`name` of the project (required)")
		cmd.Flags().StringVar(&n.Slug, "slug", "", "unique `slug`; default from the name")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			one, err := svc.CreateProject(ctx, p, n)
			if err != nil {
				return err
			}
			return c.writeProject(out, one)
		}
	})
}

func (c *cli) projectsUpdate() *cobra.Command {
	return c.onStore("update PROJECT", "Change a project's name or slug", exactly("PROJECT"), func(cmd *cobra.Command, out *output) act {
		var name, slug string
		cmd.Flags().StringVar(&name, "name", "", "`name` of the project")
		cmd.Flags().StringVar(&slug, "slug", "", "unique `slug`")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			if err := changes(cmd); err != nil {
				return err
			}
			one, err := svc.UpdateProject(ctx, p, args[0], keys.ProjectPatch{
				Name: given(cmd.Flags(), "name", name), Slug: given(cmd.Flags(), "slug", slug)})
			if err != nil {
				return absent(err, "project", args[0])
			}
			return c.writeProject(out, one)
		}
	})
}

func deleteProject(svc *keys.Service, ctx context.Context, p keys.Principal, name string) error {
	return svc.DeleteProject(ctx, p, name)
}
