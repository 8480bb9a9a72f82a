package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// pruned is how many entries were, or would be, removed of one tenant's trail.
type pruned struct {
	TenantID string `json:"tenantId"`
	Slug     string `json:"slug"`
	Removed  int64  `json:"removed"`
	DryRun   bool   `json:"dryRun"`
}

func (c *cli) auditPrune() *cobra.Command {
	return c.onPlatform("prune", "Remove audit events older than a time", exactly(), func(cmd *cobra.Command, out *output) act {
		var (
			tenant string
			older  time.Duration
			dry    bool
		)
		cmd.Long = "Remove audit events older than a time, of all tenants or one.\n\n" +
			"Each chain loses its beginning and is checked while it does; one that does not\n" +
			"verify is left as it is. Where it was cut is signed, so that the rest still\n" +
			"verifies. What was removed is recorded as audit.prune."
		cmd.Flags().DurationVar(&older, "older-than", 0, "`age` from which on events are removed, like 720h (required)")
		cmd.Flags().StringVar(&tenant, "tenant", "", "only of this `tenant`, by id or slug")
		cmd.Flags().BoolVar(&dry, "dry-run", false, "only count")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			if !cmd.Flags().Changed("older-than") {
				return &usageError{"--older-than is missing", "say from which age on events are removed: 720h are thirty days; --dry-run only counts"}
			}
			if older < minRetention {
				return &usageError{"--older-than must be at least 1h", "720h are thirty days"}
			}
			tenants, err := tenantsOf(ctx, svc, p, tenant)
			if err != nil {
				return err
			}
			before := svc.Now().Add(-older)
			done, rows := []pruned{}, []row{}
			for _, t := range tenants {
				operator, err := svc.Operator(ctx, t.ID)
				if err != nil {
					return err
				}
				removed, err := svc.PruneAudit(ctx, operator, before, dry)
				done = append(done, pruned{t.ID, t.Slug, removed, dry})
				rows = append(rows, row{t.Slug, fmt.Sprint(removed)})
				if err != nil { // what was removed before it is told as well
					err = fmt.Errorf("tenant %s: %w", t.Slug, err)
					return errors.Join(out.write(c.out, map[string]any{"tenants": done}, row{"TENANT", "REMOVED"}, rows), err)
				}
			}
			header := row{"TENANT", "REMOVED"}
			if dry {
				header[1] = "WOULD REMOVE"
			}
			return out.write(c.out, map[string]any{"tenants": done}, header, rows)
		}
	})
}

// tenantsOf are all tenants, or the one that is named.
func tenantsOf(ctx context.Context, svc *keys.Service, p keys.Principal, name string) ([]keys.Tenant, error) {
	if name == "" {
		return svc.Tenants(ctx, p)
	}
	one, err := svc.TenantByID(ctx, p, name)
	if err != nil {
		return nil, absent(err, "tenant", name)
	}
	return []keys.Tenant{one}, nil
}
