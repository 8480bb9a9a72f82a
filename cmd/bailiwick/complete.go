package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// choices are the values of flags that have a fixed list of them.
var choices = map[string][]string{
	"preset":     {policy.PresetReadOnly, policy.PresetStandard, policy.PresetFullAccess},
	"scope":      {"api", "mcp_only", "full"},
	"max-effect": {"read", "write", "destructive"},
	"transport":  {"stdio", "http", "sse"},
	"decision":   {"allow", "deny"},
	"kind":       {"decision", "call", "change"},
	"format":     {"ndjson", "csv"},
	"status":     append(approvalStatuses(), anyStatus),
	"log-level":  {"debug", "info", "warn", "error"},
}

// files are what flags take of which a shell can tell the names; a draft policy
// is @FILE.
var files = []string{"file", "folder", "command", "argument", "policy", "json"}

// complete tells shells the values of flags, that other flags take no files, and
// that the arguments of all commands but import and run are none.
func complete(cmd *cobra.Command) {
	for name, values := range choices {
		if cmd.Flags().Lookup(name) != nil {
			// run does not take it.
			if name == "preset" && cmd.Name() != "run" {
				values = append(slices.Clone(values), policy.PresetCustom)
			}
			_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		// A flag that has a completion keeps it.
		if what, _ := pflag.UnquoteUsage(f); !slices.Contains(files, what) {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
	if cmd.Name() != "import" && cmd.Name() != "run" && !cmd.HasSubCommands() && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range cmd.Commands() {
		complete(sub)
	}
}
