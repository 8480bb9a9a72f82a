package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func eachFlag(t *testing.T, root *cobra.Command, fn func(cmd *cobra.Command, f *pflag.Flag)) {
	t.Helper()
	n := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			n++
			fn(cmd, f)
		})
		for _, sub := range cmd.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	walk(root)
	if n < 100 {
		t.Fatalf("only %d flags", n)
	}
}

// One variable means one thing: two flags that share it have the same name,
// type and default. No flag could hold a key or the root secret, but for --key
// of the keys commands, which warns, and which no variable gives. The --key of
// the audit commands and of explain names one, and they refuse a token there.
func TestFlagsAndVariables(t *testing.T) {
	c := &cli{out: io.Discard, errs: io.Discard, env: func(string) (string, bool) { return "", false }}
	seen := map[string]*pflag.Flag{}
	eachFlag(t, c.root(), func(cmd *cobra.Command, f *pflag.Flag) {
		ring := strings.HasPrefix(cmd.CommandPath(), "bailiwick keys ")
		names := strings.HasPrefix(cmd.CommandPath(), "bailiwick audit ") && strings.Contains(f.Usage, "by id, handle or name") ||
			cmd.CommandPath() == "bailiwick explain" && strings.Contains(f.Usage, "asked about, by id or handle")
		if !names && (f.Name == "key" || f.Name == "secret" || f.Name == "token") && (!ring || hasEnv(f) || !strings.Contains(f.Usage, "lists of processes")) {
			t.Errorf("%s has --%s", cmd.CommandPath(), f.Name)
		}
		if !hasEnv(f) {
			return
		}
		for _, name := range envNames(cmd, f) {
			if !strings.Contains(f.Usage, "$"+name) {
				t.Errorf("%s --%s does not show %s", cmd.CommandPath(), f.Name, name)
			}
			if name == "BAILIWICK_KEY" || name == "BAILIWICK_SECRET" {
				t.Errorf("%s --%s takes a secret", cmd.CommandPath(), f.Name)
			}
			other := seen[name]
			if other != nil && (other.Name != f.Name || other.Value.Type() != f.Value.Type()) {
				t.Errorf("%s --%s and another flag share %s", cmd.CommandPath(), f.Name, name)
			}
			seen[name] = f
		}
	})
}

func TestFlagWinsOverVariable(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want string
	}{
		{"default", nil, nil, "127.0.0.1:8080"},
		{"variable", nil, map[string]string{"BAILIWICK_ADDR": "a:1"}, "a:1"},
		{"flag", []string{"--addr", "b:2"}, map[string]string{"BAILIWICK_ADDR": "a:1"}, "b:2"},
		{"empty variable", nil, map[string]string{"BAILIWICK_ADDR": ""}, "127.0.0.1:8080"},
		{"empty flag", []string{"--addr="}, map[string]string{"BAILIWICK_ADDR": "a:1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &cli{out: io.Discard, errs: io.Discard, env: func(name string) (string, bool) {
				v, ok := tt.env[name]
				return v, ok
			}}
			root := c.root()
			serve, _, err := root.Find([]string{"serve"})
			if err != nil {
				t.Fatal(err)
			}
			got := "not run"
			serve.RunE = func(cmd *cobra.Command, _ []string) error {
				got, err = cmd.Flags().GetString("addr")
				return err
			}
			root.SetArgs(append([]string{"serve"}, tt.args...))
			if err := root.Execute(); err != nil || got != tt.want {
				t.Errorf("addr = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestTypedFlags(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  map[string]string
		want bool
	}{
		{"default", nil, nil, false},
		{"variable", nil, map[string]string{"BAILIWICK_DATA": "x"}, false},
		{"flag", []string{"--data", "x"}, nil, true},
		{"both", []string{"--data", "x"}, map[string]string{"BAILIWICK_DATA": "x"}, true},
	} {
		c := &cli{out: io.Discard, errs: io.Discard, env: func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }}
		root := c.root()
		list, _, err := root.Find([]string{"keys", "list"})
		if err != nil {
			t.Fatal(err)
		}
		ran := false
		list.RunE = func(cmd *cobra.Command, _ []string) error {
			ran = true
			if got := typed(cmd.Flags(), "data"); got != tt.want {
				t.Errorf("%s: typed %v", tt.name, got)
			}
			return nil
		}
		root.SetArgs(append([]string{"keys", "list"}, tt.args...))
		if err := root.Execute(); err != nil || !ran {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestDatabaseURLVariables(t *testing.T) {
	c := &cli{out: io.Discard, errs: io.Discard, env: func(name string) (string, bool) {
		v, ok := map[string]string{"DATABASE_URL": "postgres://general", "BAILIWICK_DATABASE_URL": "postgres://ours"}[name]
		return v, ok
	}}
	root := c.root()
	list, _, err := root.Find([]string{"keys", "list"})
	if err != nil {
		t.Fatal(err)
	}
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		if got, _ := cmd.Flags().GetString("database-url"); got != "postgres://ours" {
			t.Errorf("database-url = %q", got)
		}
		return nil
	}
	root.SetArgs([]string{"keys", "list"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
}
