package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) tenants() *cobra.Command {
	return group("tenants", "Make and manage tenants", c.tenantsList(), c.tenantsCreate(), c.tenantsUpdate())
}

func (c *cli) tenantsList() *cobra.Command {
	return c.onPlatform("list", "List all tenants", exactly(), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			all, err := svc.Tenants(ctx, p)
			if err != nil {
				return err
			}
			rows := make([]row, len(all))
			for i, one := range all {
				rows[i] = row{one.Slug, one.Name, yesNo(one.MCPEnabled), one.ID}
			}
			return out.write(c.out, wire.TenantListOf(all, len(all)), row{"SLUG", "NAME", "MCP", "ID"}, rows)
		}
	})
}

func (c *cli) writeTenant(out *output, t keys.Tenant) error {
	return out.write(c.out, wire.TenantOf(t), nil, []row{{"id", t.ID}, {"slug", t.Slug}, {"name", t.Name},
		{"mcp", yesNo(t.MCPEnabled)}, {"audit arguments", yesNo(t.AuditArguments)}, {"created", when(&t.CreatedAt)}, {"version", fmt.Sprint(t.Version)}})
}

func (c *cli) tenantsCreate() *cobra.Command {
	return c.onPlatform("create", "Make a tenant, with a project \"default\"", exactly(), func(cmd *cobra.Command, out *output) act {
		var n keys.NewTenant
		cmd.Flags().StringVar(&n.Name, "name", "", "`name` of the tenant (required)")
		cmd.Flags().StringVar(&n.Slug, "slug", "", "unique `slug`; default from the name")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			one, err := svc.CreateTenant(ctx, p, n)
			if err != nil {
				return err
			}
			return c.writeTenant(out, one)
		}
	})
}

func (c *cli) tenantsUpdate() *cobra.Command {
	return c.onStore("update", "Change the tenant that --tenant names", exactly(), func(cmd *cobra.Command, out *output) act {
		var (
			name      string
			mcp       bool
			arguments bool
		)
		cmd.Flags().StringVar(&name, "name", "", "`name` of the tenant")
		cmd.Flags().BoolVar(&mcp, "mcp", false, "the tenant's switch for MCP: --mcp=false stops every key's MCP access")
		cmd.Flags().BoolVar(&arguments, "audit-arguments", false, "whether the audit trail keeps the arguments of tool calls, for whoever may view it, not only their digest")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			if err := changes(cmd); err != nil {
				return err
			}
			one, err := svc.UpdateTenant(ctx, p, keys.TenantPatch{
				Name: given(cmd.Flags(), "name", name), MCPEnabled: given(cmd.Flags(), "mcp", mcp),
				AuditArguments: given(cmd.Flags(), "audit-arguments", arguments)})
			if err != nil {
				return err
			}
			return c.writeTenant(out, one)
		}
	})
}
