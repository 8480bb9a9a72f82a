package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func (c *cli) explain() *cobra.Command {
	return c.onStore("explain KEY TOOL", "Tell why a key may or may not call a tool", exactly("KEY", "TOOL"), func(cmd *cobra.Command, out *output) act {
		cmd.Long = "Tell why a key may or may not call a tool of an instance, rule by rule. KEY is an\n" +
			"id or a handle, TOOL is <instance>__<name> or <instance>/<name>; of a prompt,\n" +
			"resource or template in the same way, with the uri for the name. For the\n" +
			"server's own tools, ask the tool explain_access."
		cmd.Example = "  bailiwick explain note-taker notes__delete_note\n  bailiwick explain note-taker docs/file:///handbook.md"
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			k, grant, err := svc.Grant(ctx, p, args[0])
			if err != nil {
				return absent(err, "key", args[0])
			}
			tool, err := findTool(ctx, svc, p, args[1])
			if err != nil {
				return err
			}
			decision, rules := grant.Explain(nil, tool, time.Now())
			rules = append(rules, grant.DemandsOfArguments(tool).Explain()...)
			epoch, _ := svc.Confirmed()
			e := wire.ExplanationOf(decision, rules, k, epoch)
			rows := make([]row, 0, len(rules)+1)
			for _, r := range rules {
				rows = append(rows, row{map[bool]string{true: "ok", false: "FAILS"}[r.OK], r.Rule.String(), strings.TrimSpace(r.Observed + " " + r.Pattern)})
			}
			return out.write(c.out, e, row{e.Decision}, rows)
		}
	})
}

// findTool finds a tool, prompt, resource or template of an instance; nil where the
// instance is absent or disabled, or has no such thing.
func findTool(ctx context.Context, svc *keys.Service, p keys.Principal, name string) (*policy.Tool, error) {
	slug, upstream := mcp.SplitName(name)
	if slug == "" || slug == "bailiwick" {
		return nil, withHint(fmt.Errorf("%q names nothing of an instance", name),
			"write <instance>__<name> or <instance>/<name or uri>; the server's own tools are explained by the tool explain_access")
	}
	i, err := svc.Instance(ctx, p, slug)
	if errors.Is(err, keys.ErrNotFound) || err == nil && !i.Enabled {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	gateway, err := mcp.New(mcp.Config{Service: svc, Authenticate: nobody, Version: version})
	if err != nil {
		return nil, err
	}
	return gateway.Subject(ctx, i, upstream)
}
