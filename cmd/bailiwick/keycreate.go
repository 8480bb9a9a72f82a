package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// newKeyFlags are the fields of a key that are given once.
type newKeyFlags struct {
	keyFlags
	name, handle, scope, expires, confined, parent, device string
	disabled, paused                                       bool
}

func (f *newKeyFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.name, "name", "", "`name` of the key (required)")
	flags.StringVar(&f.handle, "handle", "", "unique `handle`; default from the name")
	flags.StringVar(&f.scope, "scope", string(policy.ScopeFull), "which doors it opens: api, mcp_only or full")
	flags.StringVar(&f.expires, "expires", "", "when it ends: a `time` (RFC 3339) or a duration from now, like 720h")
	flags.StringVar(&f.confined, "confine", "", "`project` that the key is confined to for good, REST included")
	flags.StringVar(&f.parent, "parent", "", "`key` whose limits hold for this one too, and which ends it with itself")
	flags.StringVar(&f.device, "device", "", "`name` of the device it is for")
	flags.BoolVar(&f.disabled, "disabled", false, "start disabled")
	flags.BoolVar(&f.paused, "paused", false, "start with MCP paused")
	f.keyFlags.flags(flags)
}

func (f *newKeyFlags) request(ctx context.Context, flags *pflag.FlagSet, svc *keys.Service, p keys.Principal) (n keys.NewKey, err error) {
	if f.name == "" {
		return n, &usageError{"--name is missing", "like: bailiwick keys create --name reader; see --help"}
	}
	if err := checkExclusive(flags); err != nil {
		return n, err
	}
	n = keys.NewKey{
		Name: f.name, Handle: f.handle, Description: f.description, Tags: f.tags,
		Scope: given(flags, "scope", policy.Scope(f.scope)), Permissions: given(flags, "permissions", f.permissions),
		Enabled: given(flags, "disabled", !f.disabled), Source: "cli", DeviceName: f.device,
	}
	if n.ExpiresAt, err = parseExpiry(f.expires, time.Now()); err != nil {
		return n, err
	}
	if n.PolicyPatch, err = f.policy(ctx, flags, svc, p); err != nil {
		return n, err
	}
	n.MCPActive = given(flags, "paused", !f.paused)
	if f.confined != "" {
		project, err := svc.Project(ctx, p, f.confined)
		if err != nil {
			return n, absent(err, "project", f.confined)
		}
		n.ProjectID = project.ID
	}
	if f.parent != "" {
		k, err := svc.FindKey(ctx, p, f.parent)
		if err != nil {
			return n, absent(err, "key", f.parent)
		}
		n.ParentKeyID = k.ID
	}
	return n, nil
}

func (c *cli) keysCreate() *cobra.Command {
	return c.onStore("create", "Make a key, whose secret is shown this once", exactly(), func(cmd *cobra.Command, out *output) act {
		var f newKeyFlags
		f.flags(cmd.Flags())
		cmd.Example = "  bailiwick keys create --name reader --scope mcp_only --allow 'get_*' --projects web"
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			n, err := f.request(ctx, cmd.Flags(), svc, p)
			if err != nil {
				return err
			}
			issued, err := svc.CreateKey(ctx, p, n)
			if err != nil {
				return err
			}
			return c.writeIssued(issued, out)
		}
	})
}

func parseExpiry(text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		at := now.Add(d)
		return &at, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, &usageError{"--expires must be a time like 2030-01-31T12:00:00Z or a duration like 720h", "see bailiwick keys create --help"}
	}
	return &at, nil
}

func (c *cli) keysUpdate() *cobra.Command {
	var (
		f    keyFlags
		name string
	)
	var cmd *cobra.Command
	cmd = c.keyCommand("update", "Change a key; what no flag names stays as it is", func(ctx context.Context, svc *keys.Service, p keys.Principal, k keys.Key, out *output) error {
		flags := cmd.Flags()
		if err := changes(cmd); err != nil {
			return err
		}
		if err := checkExclusive(flags); err != nil {
			return err
		}
		patch, err := f.policy(ctx, flags, svc, p)
		if err != nil {
			return err
		}
		k, err = svc.UpdateKey(ctx, p, k.ID, keys.KeyPatch{
			Name: given(flags, "name", name), Description: given(flags, "description", f.description),
			Tags: given(flags, "tags", f.tags), Permissions: given(flags, "permissions", f.permissions), PolicyPatch: patch,
		})
		if err != nil {
			return err
		}
		return out.write(c.out, wire.KeyOf(k), nil, keyRecord(k))
	})
	cmd.Flags().StringVar(&name, "name", "", "`name` of the key")
	f.flags(cmd.Flags())
	for _, flag := range []string{"read-only", "preset"} {
		cmd.Flags().Lookup(flag).DefValue = "" // unchanged, not a new key's default
	}
	return cmd
}
