package wire_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func parseOne(t *testing.T, entry string) wire.Server {
	t.Helper()
	file, err := wire.ParseServers([]byte(`{"mcpServers":{"My Server":`+entry+`}}`), "config",
		environment(map[string]string{"TOKEN": "t0ken", "EMPTY": ""}))
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Servers) != 1 {
		t.Fatalf("%d servers", len(file.Servers))
	}
	return file.Servers[0]
}

func TestServerEntries(t *testing.T) {
	s := parseOne(t, `{"command":"npx","args":["-y","${EMPTY:-pkg}"],"env":{"T":"${env:TOKEN}"},
		"project":"dev","tools":[{"match":"get_*","effect":"read"},{"match":"*","projectPointer":"/project"}]}`)
	if s.Err != nil {
		t.Fatal(s.Err)
	}
	got := s.Spec
	if got.Slug.Value != "my-server" || got.Transport.Value != keys.TransportStdio || got.Command.Value != "npx" ||
		got.Env.Value["T"] != "t0ken" || s.Project != "dev" || got.Source != "config" {
		t.Errorf("spec = %+v", got)
	}
	if diff := cmp.Diff([]string{"-y", "pkg"}, got.Args.Value); diff != "" {
		t.Error(diff)
	}
	rules := []wire.ToolRule{{Match: "get_*", Effect: "read"}, {Match: "*", ProjectPointer: "/project"}}
	if diff := cmp.Diff(rules, wire.InstanceOf(keys.Instance{Tools: got.Tools.Value}).Tools); diff != "" {
		t.Error(diff)
	}
	if !got.WriteEnabled.Value || !got.TrustAnnotations.Value || !got.Enabled.Value || got.QuarantineNew.Value {
		t.Error("the operator's file trusts what it names")
	}
	if s := parseOne(t, `{"command":"x","quarantineNew":true}`); s.Err != nil || !s.Spec.QuarantineNew.Value {
		t.Errorf("server = %+v", s)
	}
	if s := parseOne(t, `{"url":"http://h/","writeEnabled":false,"trustAnnotations":false,"disabled":true}`); s.Err != nil ||
		s.Spec.WriteEnabled.Value || s.Spec.TrustAnnotations.Value || s.Spec.Enabled.Value ||
		s.Spec.Transport.Value != keys.TransportHTTP || !s.Spec.Headers.Null {
		t.Errorf("server = %+v", s)
	}
	if s := parseOne(t, `{"type":"sse","url":"http://h/","headers":{"A":"Bearer ${TOKEN}"}}`); s.Err != nil ||
		s.Spec.Transport.Value != keys.TransportSSE || s.Spec.Headers.Value["A"] != "Bearer t0ken" {
		t.Errorf("server = %+v", s)
	}
	if s := parseOne(t, `{"command":"x","autoApprove":["a"],"Args":[]}`); s.Err != nil ||
		!cmp.Equal(s.Ignored, []string{"Args", "autoApprove"}) {
		t.Errorf("ignored = %v, err = %v", s.Ignored, s.Err)
	}
}

func TestServerEntryFaults(t *testing.T) {
	tests := []struct{ entry, field, says string }{
		{`{}`, "type", "command or a url"},
		{`{"command":"a","url":"http://b"}`, "type", "both"},
		{`{"command":"a","type":"http"}`, "type", "stdio"},
		{`{"url":"http://b","type":"stdio"}`, "type", "http or sse"},
		{`{"command":"${UNSET}"}`, "command", "UNSET"},
		{`{"command":"a","args":["x","${UNSET}"]}`, "args[1]", "UNSET"},
		{`{"command":"a","env":{"K":"${UNSET}"}}`, "env.K", "UNSET"},
		{`{"command":"a","env":{"K":"${input:token}"}}`, "env.K", "neither"},
		{`{"command":"a","args":["${TOKEN"]}`, "args[0]", "without }"},
		{`{"command":"a","tools":[{"match":"b","effect":"x"}]}`, "tools[0].effect", "read, write"},
	}
	for _, tt := range tests {
		var wrong *keys.InvalidError
		err := parseOne(t, tt.entry).Err
		if !errors.As(err, &wrong) || wrong.Fields[0].Field != tt.field || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", tt.entry, err)
		}
		if err != nil && strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: the error quotes a secret", tt.entry)
		}
	}
	for _, entry := range []string{`null`, `[]`, `{"command":1}`, `{"args":[null]}`} {
		if s := parseOne(t, entry); s.Err == nil {
			t.Errorf("%s was accepted", entry)
		}
	}
}

func TestServersFileFaults(t *testing.T) {
	for _, file := range []string{``, `{}`, `[]`, `{"mcpServers":[]}`, `{"mcpServers":{},"servers":{}}`,
		`{"mcpServers":{"a":{},"a":{}}}`, `{"mcpServers":{"a":{"command":"a","command":"b"}}}`, `{"mcpServers":null}x`} {
		if _, err := wire.ParseServers([]byte(file), "config", environment(nil)); err == nil {
			t.Errorf("%s was accepted", file)
		}
	}
	file, err := wire.ParseServers([]byte(`{"servers":{"a b":{"command":"x"},"A-B":{"command":"y"},"c":{"command":"z"}},"inputs":[]}`),
		"cli", environment(nil))
	if err != nil || len(file.Servers) != 3 || !cmp.Equal(file.Ignored, []string{"inputs"}) {
		t.Fatalf("file = %+v, err = %v", file, err)
	}
	for _, s := range file.Servers {
		if twin := s.Name != "c"; twin != (s.Err != nil) {
			t.Errorf("%s: err = %v", s.Name, s.Err)
		}
	}
}

func TestExpand(t *testing.T) {
	env := environment(map[string]string{"A": "1", "EMPTY": "", "NEST": "${A}"})
	tests := []struct{ in, want string }{
		{"", ""}, {"plain $A {A}", "plain $A {A}"}, {"${A}", "1"}, {"<${A}${A}>", "<11>"},
		{"${EMPTY}", ""}, {"${EMPTY:-x}", "x"}, {"${NO:-}", ""}, {"${NO:-a b}", "a b"},
		{"${NEST}", "${A}"}, {"${env:A}", "1"},
	}
	for _, tt := range tests {
		if got, err := wire.Expand(tt.in, env); err != nil || got != tt.want {
			t.Errorf("Expand(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"${", "${}", "${A", "${1}", "${A B}", "${NO}", "${input:x}", "${A-b}"} {
		if got, err := wire.Expand(in, env); err == nil || got != "" {
			t.Errorf("Expand(%q) = %q, %v; want an error and nothing", in, got, err)
		}
	}
}

func FuzzParseServers(f *testing.F) {
	seeds, err := filepath.Glob("testdata/servers/*.json")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds in testdata/servers: %v", err)
	}
	for _, seed := range seeds {
		data, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	env := environment(map[string]string{"SECRET": "hunter2hunter2"})
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := wire.ParseServers(data, "config", env)
		if err != nil && len(file.Servers) > 0 {
			t.Error("an error and servers")
		}
		seen := map[string]bool{}
		for _, s := range file.Servers {
			if s.Err != nil {
				if strings.Contains(s.Err.Error(), "hunter2hunter2") {
					t.Error("the error quotes a secret")
				}
				continue
			}
			slug := s.Spec.Slug.Value
			if keys.InstanceSlugProblem(slug) != "" || seen[slug] {
				t.Errorf("%q became the slug %q", s.Name, slug)
			}
			seen[slug] = true
			if s.Spec.Command.Set == s.Spec.URL.Set {
				t.Errorf("%q: command and url both or neither", s.Name)
			}
		}
	})
}
