package main

import (
	"strings"

	"github.com/spf13/pflag"
)

// patterns is a repeatable flag of tool patterns. One value is one pattern,
// commas and all, for a pattern may have them; a variable has one on each line.
// A value without any makes the list empty, which is not the list left out (nil).
type patterns struct{ list *[]string }

func (p patterns) Set(text string) error {
	if *p.list == nil {
		*p.list = []string{}
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			*p.list = append(*p.list, line)
		}
	}
	return nil
}

func (p patterns) String() string {
	if p.list == nil {
		return ""
	}
	return strings.Join(*p.list, "\n")
}

func (p patterns) Type() string { return "patterns" }

func patternFlag(flags *pflag.FlagSet, list *[]string, name, usage string) {
	flags.Var(patterns{list}, name, usage)
}
