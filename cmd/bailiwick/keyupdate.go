package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// updateFlags are a change of a key, and whether it is only tried.
type updateFlags struct {
	keyFlags
	shadow shadowFlags
	name   string
	dryRun bool
	days   int
}

func (f *updateFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "`name` of the key")
	f.keyFlags.flags(flags)
	f.shadow.flags(flags)
	for _, flag := range []string{"read-only", "preset"} {
		flags.Lookup(flag).DefValue = "" // unchanged, not a new key's default
	}
	flags.BoolVar(&f.dryRun, "dry-run", false, "change nothing: show which tools would come and go, and which recorded calls would be decided otherwise")
	flags.IntVar(&f.days, "days", keys.UseDays, "with --dry-run, how many days of recorded calls to look at, up to 365; 0 is none")
	variables(flags, "dry-run") // none: what is typed is what is done
	variables(flags, "days")
}

func (f *updateFlags) check(flags *pflag.FlagSet) error {
	switch {
	case flags.Changed("days") && !f.dryRun:
		return &usageError{"--days means nothing without --dry-run", "give --dry-run too, or leave it out"}
	case f.days < 0 || f.days > keys.MaxUseDays:
		return &usageError{fmt.Sprintf("--days must be from 0 to %d", keys.MaxUseDays), "as many as the audit trail is kept for"}
	}
	return checkExclusive(flags)
}

func (f *updateFlags) request(ctx context.Context, flags *pflag.FlagSet, ring keyring) (body wire.UpdateKey, err error) {
	body = wire.UpdateKey{
		Name: given(flags, "name", f.name), Description: given(flags, "description", f.description),
		Tags: given(flags, "tags", f.tags), Permissions: given(flags, "permissions", f.permissions),
	}
	if body.ShadowField, err = f.shadow.given(flags); err != nil {
		return body, err
	}
	body.PolicyFields, err = f.policy(ctx, flags, ring)
	return body, err
}

func (c *cli) keysUpdate() *cobra.Command {
	var f updateFlags
	var cmd *cobra.Command
	cmd = c.keyCommand("update", "Change a key; what no flag names stays as it is", func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		if err := changes(cmd); err != nil {
			return err
		}
		if err := f.check(cmd.Flags()); err != nil {
			return err
		}
		body, err := f.request(ctx, cmd.Flags(), ring)
		if err != nil {
			return err
		}
		if f.dryRun {
			effects, err := ring.DryRun(ctx, k.ID, body, f.days)
			if err != nil {
				return err
			}
			return out.write(c.out, effects, nil, effectRows(k, effects))
		}
		edited, err := ring.Update(ctx, k.ID, body)
		if err != nil {
			return err
		}
		return c.writeEdited(edited, out)
	})
	f.flags(cmd.Flags())
	cmd.Example = "  bailiwick keys update reader --allow 'get_*'\n" +
		"  bailiwick keys update reader --allow 'get_*' --dry-run --days 7\n" +
		"  bailiwick keys update reader --shadow '{\"mcpReadOnly\": true}'"
	return cmd
}
