package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) keys() *cobra.Command {
	return group("keys", "Make and manage keys",
		c.keysList(), c.keysGet(), c.keysCreate(), c.keysUpdate(),
		c.keyFlip("pause", "Stop a key's MCP access; REST goes on working", keys.PolicyPatch{MCPActive: keys.Some(false)}, keys.Opt[bool]{}),
		c.keyFlip("resume", "Let a paused key use MCP again", keys.PolicyPatch{MCPActive: keys.Some(true)}, keys.Opt[bool]{}),
		c.keyFlip("enable", "Let a disabled key work again", keys.PolicyPatch{}, keys.Some(true)),
		c.keyFlip("disable", "Stop a key altogether, until it is enabled", keys.PolicyPatch{}, keys.Some(false)),
		c.keysRotate(), c.keysRevoke())
}

// keyCommand is a command on one key, named by id or handle.
func (c *cli) keyCommand(use, short string, fn func(ctx context.Context, svc *keys.Service, p keys.Principal, k keys.Key, out *output) error) *cobra.Command {
	return c.onStore(use+" KEY", short+"; KEY is an id or a handle", exactly("KEY"), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			k, err := svc.FindKey(ctx, p, args[0])
			if err != nil {
				return absent(err, "key", args[0])
			}
			return fn(ctx, svc, p, k, out)
		}
	})
}

func (c *cli) keysList() *cobra.Command {
	return c.onStore("list", "List the tenant's keys", exactly(), func(cmd *cobra.Command, out *output) act {
		var q keys.KeyQuery
		cmd.Flags().StringVar(&q.Search, "search", "", "only keys with this `text` in name, handle or prefix")
		cmd.Flags().BoolVar(&q.IncludeRevoked, "revoked", false, "revoked keys too")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			all, total, err := svc.Keys(ctx, p, q)
			if err != nil {
				return err
			}
			rows := make([]row, len(all))
			for i, k := range all {
				rows[i] = row{k.Handle, k.Prefix, string(k.Scope), k.Policy.Preset, yesNo(k.Policy.ReadOnly),
					keyState(k, time.Now()), when(k.LastUsedAt), k.ID}
			}
			return out.write(c.out, wire.KeyListOf(all, total),
				row{"HANDLE", "PREFIX", "SCOPE", "PRESET", "READ-ONLY", "STATE", "LAST USED", "ID"}, rows)
		}
	})
}

func (c *cli) keysGet() *cobra.Command {
	return c.keyCommand("get", "Show a key", func(_ context.Context, _ *keys.Service, _ keys.Principal, k keys.Key, out *output) error {
		return out.write(c.out, wire.KeyOf(k), nil, keyRecord(k))
	})
}

func (c *cli) keyFlip(verb, short string, p keys.PolicyPatch, enabled keys.Opt[bool]) *cobra.Command {
	patch := keys.KeyPatch{PolicyPatch: p, Enabled: enabled}
	return c.keyCommand(verb, short, func(ctx context.Context, svc *keys.Service, p keys.Principal, k keys.Key, out *output) error {
		k, err := svc.UpdateKey(ctx, p, k.ID, patch)
		if err != nil {
			return err
		}
		return out.write(c.out, wire.KeyOf(k), nil, keyRecord(k))
	})
}

func (c *cli) keysRotate() *cobra.Command {
	var grace time.Duration
	cmd := c.keyCommand("rotate", "Give a key a new secret, which is shown this once", func(ctx context.Context, svc *keys.Service, p keys.Principal, k keys.Key, out *output) error {
		issued, err := svc.RotateKey(ctx, p, k.ID, keys.Rotation{Grace: grace})
		if err != nil {
			return err
		}
		return c.writeIssued(issued, out)
	})
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the old secret goes on working, up to 720h")
	return cmd
}

func (c *cli) keysRevoke() *cobra.Command {
	var reason string
	cmd := c.keyCommand("revoke", "End a key, and the keys made with it, for good", func(ctx context.Context, svc *keys.Service, p keys.Principal, k keys.Key, out *output) error {
		k, err := svc.RevokeKey(ctx, p, k.ID, keys.Revocation{Reason: reason})
		if err != nil {
			return err
		}
		return out.write(c.out, wire.KeyOf(k), nil, keyRecord(k))
	})
	cmd.Flags().StringVar(&reason, "reason", "", "`text` to keep with it")
	return cmd
}

// writeIssued shows a new secret, on standard output alone.
func (c *cli) writeIssued(i keys.Issued, out *output) error {
	rows := append(keyRecord(i.Key), row{"key", i.Secret.Reveal()})
	if err := out.write(c.out, wire.IssuedOf(i), nil, rows); err != nil {
		return err
	}
	if out.format == "table" {
		fmt.Fprintln(c.errs, "The key is shown this once: keep it now.")
	}
	return nil
}
