package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) keys() *cobra.Command {
	g := group("keys", "Make and manage keys",
		c.keysList(), c.keysTree(), c.keysGet(), c.keysCreate(), c.keysUpdate(),
		c.keyFlip("pause", "Stop a key's MCP access; REST goes on working", wire.UpdateKey{PolicyFields: wire.PolicyFields{MCPActive: keys.Some(false)}}),
		c.keyFlip("resume", "Let a paused key use MCP again", wire.UpdateKey{PolicyFields: wire.PolicyFields{MCPActive: keys.Some(true)}}),
		c.keyFlip("enable", "Let a disabled key work again", wire.UpdateKey{Enabled: keys.Some(true)}),
		c.keyFlip("disable", "Stop a key altogether, until it is enabled", wire.UpdateKey{Enabled: keys.Some(false)}),
		c.keysSuggest(), c.keysShadow(), c.keysRotate(), c.keysRevoke(), c.keysImport())
	g.Long = "Make and manage keys: in the store on this machine (--data, --database-url), as its\n" +
		"operator, or with --url on a running server, as the key that is given there. The\n" +
		"answers are the same.\n\n" +
		"The key to ask a server as comes from BAILIWICK_KEY, --key-file, or standard input\n" +
		"with --key -. BAILIWICK_KEYS_URL sets --url for all of these commands; BAILIWICK_URL\n" +
		"is for bailiwick stdio and changes nothing here, nor does BAILIWICK_KEY without --url."
	g.Example = "  BAILIWICK_KEY=bwk_live_... bailiwick keys list --url https://mcp.example.com"
	return g
}

// keyCommand is a command on one key, named by id or handle.
func (c *cli) keyCommand(use, short string, fn func(ctx context.Context, ring keyring, k wire.Key, out *output) error) *cobra.Command {
	return c.onKeys(use+" KEY", short+"; KEY is an id or a handle", exactly("KEY"), func(_ *cobra.Command, out *output) keyAct {
		return func(ctx context.Context, ring keyring, args []string) error {
			k, err := ring.Find(ctx, args[0])
			if err != nil {
				return absent(err, "key", args[0])
			}
			return fn(ctx, ring, k, out)
		}
	})
}

func (c *cli) keysList() *cobra.Command {
	return c.onKeys("list", "List the tenant's keys", exactly(), func(cmd *cobra.Command, out *output) keyAct {
		var q keyQuery
		cmd.Flags().StringVar(&q.search, "search", "", "only keys with this `text` in name, handle or prefix")
		cmd.Flags().BoolVar(&q.revoked, "revoked", false, "revoked keys too")
		return func(ctx context.Context, ring keyring, _ []string) error {
			list, err := ring.Keys(ctx, q)
			if err != nil {
				return err
			}
			var states map[string]string
			if out.format == "table" {
				if states, err = stateTexts(ctx, ring, list.Keys, time.Now()); err != nil {
					return err
				}
			}
			rows := make([]row, len(list.Keys))
			for i, k := range list.Keys {
				rows[i] = row{k.Handle, k.Prefix, string(k.Scope), k.MCPPreset, yesNo(k.MCPReadOnly),
					states[k.ID], when(k.LastUsedAt), k.ID}
			}
			return out.write(c.out, list, row{"HANDLE", "PREFIX", "SCOPE", "PRESET", "READ-ONLY", "STATE", "LAST USED", "ID"}, rows)
		}
	})
}

// writeEdited shows a key as an edit left it.
func (c *cli) writeEdited(k wire.EditedKey, out *output) error {
	c.warnOf(k.Propagation)
	return out.write(c.out, k, nil, keyRecord(k.Key))
}

// warnOf says it where servers did not confirm an edit: it holds all the same.
func (c *cli) warnOf(p wire.Propagation) {
	late, refuse := p.Replicas-p.Applied, "it refuses requests until it has"
	if late > 1 {
		refuse = "they refuse requests until they have"
	}
	if late > 0 {
		fmt.Fprintf(c.errs, "warning: %d of %d servers did not confirm the edit; %s\n", late, p.Replicas, refuse)
	}
}

func (c *cli) keysGet() *cobra.Command {
	cmd := c.keyCommand("get", "Show a key", func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		rows := keyRecord(k)
		if out.format == "table" {
			states, err := stateTexts(ctx, ring, []wire.Key{k}, time.Now())
			if err != nil {
				return err
			}
			rows[slices.IndexFunc(rows, func(r row) bool { return r[0] == "state" })][1] = states[k.ID]
		}
		return out.write(c.out, k, nil, rows)
	})
	cmd.SuggestFor = []string{"show"} // which is nearer to shadow
	return cmd
}

func (c *cli) keyFlip(verb, short string, patch wire.UpdateKey) *cobra.Command {
	return c.keyCommand(verb, short, func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		edited, err := ring.Update(ctx, k.ID, patch)
		if err != nil {
			return err
		}
		return c.writeEdited(edited, out)
	})
}

func (c *cli) keysRotate() *cobra.Command {
	var grace time.Duration
	var cmd *cobra.Command
	cmd = c.keyCommand("rotate", "Give a key a new secret, which is shown this once", func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		body := wire.RotateKey{GraceSeconds: given(cmd.Flags(), "grace", int64(grace/time.Second))}
		if grace%time.Second != 0 {
			return &usageError{"--grace: must be whole seconds", "see " + cmd.CommandPath() + " --help"}
		}
		issued, err := ring.Rotate(ctx, k.ID, body)
		if err != nil {
			return err
		}
		return c.writeIssued(issued, out)
	})
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the old secret goes on working, up to 720h")
	return cmd
}

// errOwnKey is the end of the key that asked: nobody can show it any more.
var errOwnKey = errors.New("the key is revoked; it is the one that asked, so the server shows it no more")

func (c *cli) keysRevoke() *cobra.Command {
	var reason string
	var cmd *cobra.Command
	cmd = c.keyCommand("revoke", "End a key, and the keys made with it, for good", func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		edited, err := ring.Revoke(ctx, k.ID, wire.RevokeKey{Reason: given(cmd.Flags(), "reason", reason)})
		if errors.Is(err, errOwnKey) {
			fmt.Fprintln(c.errs, err)
			c.warnOf(edited.Propagation)
			return nil
		}
		if err != nil {
			return err
		}
		return c.writeEdited(edited, out)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "`text` to keep with it")
	cmd.SuggestFor = []string{"delete", "remove"}
	return cmd
}

// writeIssued shows a new secret, on standard output alone.
func (c *cli) writeIssued(i wire.Issued, out *output) error {
	c.warnOf(i.Propagation)
	rows := append(keyRecord(i.Key), row{"key", i.Plaintext})
	if err := out.write(c.out, i, nil, rows); err != nil {
		return err
	}
	if out.format == "table" {
		fmt.Fprintln(c.errs, "The key is shown this once: keep it now.")
	}
	return nil
}
