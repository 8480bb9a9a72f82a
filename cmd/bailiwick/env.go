package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags that configure the program have BAILIWICK_<FLAG>; those that say what
// one command of a noun is to do have BAILIWICK_<NOUN>_<VERB>_<FLAG>, so that a
// variable set for one command never changes what another one does.
const (
	envAnnotation     = "bailiwick_env"
	fromEnvAnnotation = "bailiwick_from_env"
)

// envNames are the variables of a flag, the one that wins first.
func envNames(cmd *cobra.Command, f *pflag.Flag) []string {
	name := strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
	if set := f.Annotations[envAnnotation]; len(set) > 0 {
		return set
	}
	path := strings.Fields(strings.ToUpper(cmd.CommandPath()))
	if len(path) > 2 {
		name = strings.Join(path[1:], "_") + "_" + name
	}
	return []string{"BAILIWICK_" + name}
}

// shared marks flags that mean the same in every command that has them.
func shared(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		env := []string{"BAILIWICK_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
		if name == "database-url" {
			env = append(env, "DATABASE_URL")
		}
		variables(flags, name, env...)
	}
}

// variables gives a flag the variables that it has, none where none is named.
func variables(flags *pflag.FlagSet, name string, env ...string) {
	if err := flags.SetAnnotation(name, envAnnotation, env); err != nil {
		panic(err) // a flag that is not there: a fault of the program
	}
}

// typed tells whether a flag is on the command line itself.
func typed(flags *pflag.FlagSet, name string) bool {
	f := flags.Lookup(name)
	return f.Changed && f.Annotations[fromEnvAnnotation] == nil
}

// closing are lists that open only what they name. A variable of theirs that is
// set and empty names nothing, as the flag does; left out, it would open all.
var closing = map[string]bool{"allow": true, "deny": true, "categories": true, "projects": true, "instances": true}

func hasEnv(f *pflag.Flag) bool {
	set, named := f.Annotations[envAnnotation]
	return f.Name != "help" && !f.Hidden && (!named || len(set) > 0)
}

// bindEnv gives each flag that the command line does not have the value of its
// variable. A bad value is a usage error that names the variable.
func (c *cli) bindEnv(cmd *cobra.Command) error {
	var bad error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || bad != nil || !hasEnv(f) {
			return
		}
		for _, name := range envNames(cmd, f) {
			value, ok := c.env(name)
			if !ok || value == "" && !closing[f.Name] {
				continue
			}
			if err := cmd.Flags().Set(f.Name, value); err != nil {
				// pflag quotes the value, which may hold a password.
				bad = &usageError{name + " does not fit --" + f.Name + " (" + f.Value.Type() + ")", "see " + cmd.CommandPath() + " --help"}
			}
			_ = cmd.Flags().SetAnnotation(f.Name, fromEnvAnnotation, []string{name})
			return
		}
	})
	return bad
}

// showEnv puts the variable behind each flag's help.
func showEnv(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if hasEnv(f) && !strings.Contains(f.Usage, "[$") {
			f.Usage += " [$" + strings.Join(envNames(cmd, f), ", $") + "]"
		}
	})
	for _, sub := range cmd.Commands() {
		if sub.Name() != "completion" {
			showEnv(sub)
		}
	}
}
