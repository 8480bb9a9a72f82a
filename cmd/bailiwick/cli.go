package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// cli is one run of the command line and what it may touch.
type cli struct {
	in        io.Reader
	out, errs io.Writer
	env       func(string) (string, bool)
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// run runs one command. Errors go to errs: one line "error: ...", and one
// "hint: ..." where there is something to do next.
func (c *cli) run(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	message, hint := describe(err)
	fmt.Fprintf(c.errs, "error: %s\n", message)
	if hint != "" {
		fmt.Fprintf(c.errs, "hint: %s\n", hint)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bailiwick",
		Short: "Gives every agent a key, and every key its bailiwick: an MCP gateway with per-key policies",
		Long: "Bailiwick stands between AI agents and MCP servers. A client shows an API key;\n" +
			"the key's policy decides which tools it sees and which calls go through.\n\n" +
			"Start with: bailiwick serve\n\n" +
			"Every flag has an environment variable, shown behind it; a flag wins over it.\n\n" +
			"Exit codes: 0 done, 1 it failed, 2 it was asked for wrongly.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return c.bindEnv(cmd) },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{flagFault(err), "see " + cmd.CommandPath() + " --help"}
	})
	root.AddCommand(c.serve(), c.stdio(), c.runCommand(), c.importServers(),
		c.keys(), c.projects(), c.instances(), c.presets(), c.tenants(), c.explain(), c.audit(), c.migrate(), c.version())
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.Name() == "completion" {
			sub.Args, sub.RunE = cobra.ArbitraryArgs, onlyCommands
		}
	}
	showEnv(root)
	complete(root)
	return root
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: onlyCommands,
	}
	g.AddCommand(commands...)
	return g
}

func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return &usageError{cmd.CommandPath() + " needs a command", "see " + cmd.CommandPath() + " --help"}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	hint := "see " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return &usageError{fmt.Sprintf("%s has no command %q", cmd.CommandPath(), name), hint}
}

// exactly says which arguments a command takes.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return &usageError{cmd.CommandPath() + " needs " + strings.Join(names, " and "), "see " + cmd.CommandPath() + " --help"}
		case len(args) > len(names):
			return &usageError{fmt.Sprintf("%s does not take %q", cmd.CommandPath(), args[len(names)]), "see " + cmd.CommandPath() + " --help"}
		}
		return nil
	}
}

// upTo is exactly with arguments that may be left out.
func upTo(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return exactly(names[:min(len(args), len(names))]...)(cmd, args)
	}
}

func (c *cli) version() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			return out.write(c.out, map[string]string{"version": version}, nil, []row{{"bailiwick " + version}})
		},
	}
	out.flag(cmd)
	return cmd
}
