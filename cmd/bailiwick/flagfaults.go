package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// fieldFlags are the flags that write a field of the API; the first one that
// was given, else the first that the command has, is at fault.
var fieldFlags = map[string][]string{
	"name": {"name"}, "slug": {"slug"}, "handle": {"handle"}, "description": {"description"}, "tags": {"tags"},
	"scope": {"scope"}, "permissions": {"permissions", "categories"}, "expiresAt": {"expires"}, "deviceName": {"device"},
	"parentKeyId": {"parent"}, "projectId": {"confine", "project"}, "reason": {"reason"}, "graceSeconds": {"grace"},
	"mcpPreset": {"preset"}, "mcpPermissions": {"categories"}, "mcpProjectIds": {"projects"}, "mcpInstanceIds": {"instances"},
	"mcpToolAllowlist": {"allow", "deny"}, "mcpReadOnly": {"read-only"}, "maxEffect": {"max-effect"}, "mcpLimits": {"limit"},
	"version": {"diff-version"}, "fromVersion": {"diff-version"}, "against": {"diff"}, "at": {"at"},
	"quarantineNew": {"quarantine-new"}, "transport": {"transport"}, "command": {"command"}, "args": {"arg"}, "url": {"url"}, "env": {"env"}, "headers": {"header"},
}

// flagFault says what a flag takes, where its value is none of that type.
func flagFault(err error) string {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		takes := map[string]string{"duration": "a duration like 90m or 720h", "int": "a whole number", "uint": "a whole number from 0 on", "bool": "true or false"}
		if what := takes[invalid.GetFlag().Value.Type()]; what != "" {
			return "--" + invalid.GetFlag().Name + " must be " + what
		}
	}
	return err.Error()
}

// flagFaults says what is wrong with values as one of the flags that gave them:
// a usage error. Faults of what no flag gives stay what they are.
func flagFaults(cmd *cobra.Command, err error) error {
	var invalid *keys.InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	faults, found := make([]string, len(invalid.Fields)), false
	for i, f := range invalid.Fields {
		name := f.Field
		if flag := flagOf(cmd.Flags(), name); flag != "" {
			name, found = "--"+flag, true
		}
		faults[i] = name + ": " + f.Problem
	}
	if !found {
		return err
	}
	return &usageError{strings.Join(faults, "; "), "see " + cmd.CommandPath() + " --help"}
}

func flagOf(flags *pflag.FlagSet, field string) string {
	field, _, _ = strings.Cut(field, "[")
	field, _, _ = strings.Cut(field, ".")
	names := slices.DeleteFunc(slices.Clone(fieldFlags[field]), func(name string) bool { return flags.Lookup(name) == nil })
	if i := slices.IndexFunc(names, flags.Changed); i >= 0 {
		return names[i]
	}
	if len(names) > 0 {
		return names[0]
	}
	return ""
}

// changes refuses an update that no flag asks anything of. Flags whose variable
// is shared say where a command works and how it answers, not what it does.
func changes(cmd *cobra.Command) error {
	asked := false
	cmd.Flags().Visit(func(f *pflag.Flag) {
		_, where := f.Annotations[envAnnotation]
		asked = asked || !where
	})
	if !asked {
		return &usageError{"there is nothing to change", "say what, with one of the flags in " + cmd.CommandPath() + " --help"}
	}
	return nil
}
