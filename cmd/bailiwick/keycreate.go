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
	flags.StringVar(&f.expires, "expires", "", "when it ends: a `time` (RFC 3339), a duration from now, like 720h, or never; default never, and for a child 1h. A child never outlives its parent")
	flags.StringVar(&f.confined, "confine", "", "`project` that the key is confined to for good, REST included")
	flags.StringVar(&f.parent, "parent", "", "`key` (id or handle) whose limits hold for this one too, and which ends it with itself")
	flags.StringVar(&f.device, "device", "", "`name` of the device it is for")
	flags.BoolVar(&f.disabled, "disabled", false, "start disabled")
	flags.BoolVar(&f.paused, "paused", false, "start with MCP paused")
	f.keyFlags.flags(flags)
}

func (f *newKeyFlags) request(ctx context.Context, flags *pflag.FlagSet, ring keyring) (body wire.CreateKey, err error) {
	if f.name == "" {
		return body, &usageError{"--name is missing", "like: bailiwick keys create --name reader; see --help"}
	}
	if err := checkExclusive(flags); err != nil {
		return body, err
	}
	body = wire.CreateKey{
		Name: keys.Some(f.name), Handle: unlessEmpty(f.handle), Description: unlessEmpty(f.description), Tags: given(flags, "tags", f.tags),
		Scope: given(flags, "scope", policy.Scope(f.scope)), Permissions: given(flags, "permissions", f.permissions),
		Enabled: given(flags, "disabled", !f.disabled), DeviceName: unlessEmpty(f.device),
	}
	if body.ExpiresAt, err = parseExpiry(f.expires, time.Now()); err != nil {
		return body, err
	}
	if body.PolicyFields, err = f.policy(ctx, flags, ring); err != nil {
		return body, err
	}
	body.MCPActive = given(flags, "paused", !f.paused)
	if f.confined != "" {
		id, err := ring.ProjectID(ctx, f.confined)
		if err != nil {
			return body, absent(err, "project", f.confined)
		}
		body.ProjectID = keys.Some(id)
	}
	if f.parent != "" {
		k, err := ring.Find(ctx, f.parent)
		if err != nil {
			return body, absent(err, "key", f.parent)
		}
		body.ParentKeyID = keys.Some(k.ID)
	}
	return body, nil
}

func unlessEmpty(s string) keys.Opt[string] {
	return keys.Opt[string]{Set: s != "", Value: s}
}

func (c *cli) keysCreate() *cobra.Command {
	return c.onKeys("create", "Make a key, whose secret is shown this once", exactly(), func(cmd *cobra.Command, out *output) keyAct {
		var f newKeyFlags
		f.flags(cmd.Flags())
		cmd.Example = "  bailiwick keys create --name reader --scope mcp_only --allow 'get_*' --projects web\n" +
			"  bailiwick keys create --name helper --parent reader --expires 10m"
		return func(ctx context.Context, ring keyring, _ []string) error {
			body, err := f.request(ctx, cmd.Flags(), ring)
			if err != nil {
				return err
			}
			issued, err := ring.Create(ctx, body)
			if err != nil {
				return err
			}
			return c.writeIssued(issued, out)
		}
	})
}

func parseExpiry(text string, now time.Time) (keys.Opt[string], error) {
	switch text {
	case "":
		return keys.Opt[string]{}, nil
	case "never":
		return keys.Null[string](), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		text = now.Add(d).UTC().Format(time.RFC3339Nano)
	} else if _, err := time.Parse(time.RFC3339, text); err != nil {
		return keys.Opt[string]{}, &usageError{"--expires must be a time like 2030-01-31T12:00:00Z or a duration like 720h, or never", "see bailiwick keys create --help"}
	}
	return keys.Some(text), nil
}
