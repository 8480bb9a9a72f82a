package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// announcedTools are an instance and its tools as last announced.
func announcedTools(ctx context.Context, svc *keys.Service, p keys.Principal, name string) (keys.Instance, []wire.Tool, error) {
	one, err := svc.Instance(ctx, p, name)
	if err != nil {
		return one, nil, absent(err, "instance", name)
	}
	gateway, err := mcp.New(mcp.Config{Service: svc, Authenticate: nobody, Version: version})
	if err != nil {
		return one, nil, err
	}
	tools, err := toolsOf(gateway)(ctx, one)
	return one, tools, err
}

// shortDigest tells definitions apart at a glance; the whole one is in the JSON.
const shortDigest = 12

func (c *cli) instancesTools() *cobra.Command {
	return c.onStore("tools INSTANCE", "List an instance's tools as last announced", exactly("INSTANCE"), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			_, tools, err := announcedTools(ctx, svc, p, args[0])
			if err != nil {
				return err
			}
			rows := make([]row, len(tools))
			for i, t := range tools {
				state := "offered"
				switch {
				case t.Problem != "":
					state = t.Problem
				case t.Quarantined:
					state = "quarantined"
				}
				rows[i] = row{t.Name, t.Exposed, t.Category, t.Effect, state, t.Digest[:min(shortDigest, len(t.Digest))]}
			}
			return out.write(c.out, wire.ToolList{Tools: tools, Total: len(tools)},
				row{"NAME", "EXPOSED", "CATEGORY", "EFFECT", "STATE", "DIGEST"}, rows)
		}
	})
}

func (c *cli) instancesDiff() *cobra.Command {
	return c.onStore("diff INSTANCE [TOOL]", "Show what changed in the tools that wait for approval", fromTo(1, 2, "INSTANCE"), func(cmd *cobra.Command, out *output) act {
		cmd.Long = "Show how the tools of an instance that are quarantined differ from what was approved:\n" +
			"name, description, schemas and annotations. Characters that a terminal would not\n" +
			"show are written as JSON escapes."
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			_, tools, err := announcedTools(ctx, svc, p, args[0])
			if err != nil {
				return err
			}
			waiting, err := chosen(args[0], tools, args[1:])
			if err != nil {
				return err
			}
			if out.format == "json" {
				return out.write(c.out, wire.ToolList{Tools: waiting, Total: len(waiting)}, nil, nil)
			}
			return showChanges(c.out, waiting, args[0])
		}
	})
}

func (c *cli) instancesApprove() *cobra.Command {
	return c.onStore("approve INSTANCE [TOOL...]", "Approve the changed definitions of tools", fromTo(1, keys.MaxApprovals+1, "INSTANCE"), func(cmd *cobra.Command, out *output) act {
		var all, yes bool
		cmd.Flags().BoolVar(&all, "all", false, "all tools that wait for approval now")
		cmd.Flags().BoolVar(&yes, "yes", false, "do not ask, but approve what is shown")
		cmd.Long = "Show how tools differ from what was approved, ask, and approve exactly what was\n" +
			"shown: a definition that changes meanwhile is refused, and stays quarantined."
		cmd.Example = "  bailiwick instances approve notes read_note\n  bailiwick instances approve notes --all --yes"
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			if all == (len(args) > 1) {
				return &usageError{"which tools are to be approved?", "name them, or say --all; bailiwick instances diff " + args[0] + " shows those that wait"}
			}
			one, tools, err := announcedTools(ctx, svc, p, args[0])
			if err != nil {
				return err
			}
			waiting, err := chosen(args[0], tools, args[1:])
			if err != nil {
				return err
			}
			if err := c.agreed(waiting, args[0], yes); err != nil {
				return err
			}
			if err := approveTools(ctx, svc, p, one, waiting); err != nil {
				return err
			}
			return c.writeApproved(out, waiting)
		}
	})
}

// fromTo says how many arguments a command takes.
func fromTo(least, most int, first string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &usageError{cmd.CommandPath() + " needs " + first, "see " + cmd.CommandPath() + " --help"}
		case len(args) > most:
			return &usageError{fmt.Sprintf("%s does not take %q", cmd.CommandPath(), args[most]), "see " + cmd.CommandPath() + " --help"}
		}
		return nil
	}
}

// chosen are the tools that wait for approval: those that are named, or all.
func chosen(instance string, tools []wire.Tool, names []string) ([]wire.Tool, error) {
	for _, name := range names {
		if !slices.ContainsFunc(tools, func(t wire.Tool) bool { return t.Name == name }) {
			return nil, withHint(fmt.Errorf("instance %q announces no tool %q", instance, name),
				"bailiwick instances tools "+instance+" lists them, by the upstream's own names")
		}
	}
	out := []wire.Tool{}
	for _, t := range tools {
		if t.Quarantined && (len(names) == 0 || slices.Contains(names, t.Name)) {
			out = append(out, t)
		}
	}
	return out, nil
}

// agreed shows the changes and asks, unless it was said beforehand.
func (c *cli) agreed(waiting []wire.Tool, instance string, yes bool) error {
	if err := showChanges(c.errs, waiting, instance); err != nil || len(waiting) == 0 || yes {
		return err
	}
	in, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return withHint(errors.New("nobody can be asked: standard input is no terminal"), "look at what is shown above, then say --yes")
	}
	fmt.Fprintf(c.errs, "Approve %d of them as shown? [y/N] ", len(waiting))
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil || !slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer))) {
		return errors.New("nothing was approved")
	}
	return nil
}

// approveTools approves what was shown, by the digests.
func approveTools(ctx context.Context, svc *keys.Service, p keys.Principal, i keys.Instance, waiting []wire.Tool) error {
	for some := range slices.Chunk(waiting, keys.MaxApprovals) {
		list := make([]keys.ToolApproval, len(some))
		for n, t := range some {
			list[n] = keys.ToolApproval{Name: t.Name, Digest: t.Digest}
		}
		if _, err := svc.ApproveTools(ctx, p, i.ID, list); err != nil {
			return err
		}
	}
	return nil
}

// writeApproved answers the tools as they are now.
func (c *cli) writeApproved(out *output, waiting []wire.Tool) error {
	rows := make([]row, len(waiting))
	for n := range waiting {
		t := &waiting[n]
		t.Quarantined, t.Approved, t.ApprovedDigest = false, nil, ""
		rows[n] = row{"tool " + t.Name + " approved"}
	}
	return out.write(c.out, wire.ToolList{Tools: waiting, Total: len(waiting)}, nil, rows)
}
