package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestFaultyUpstreams mounts one of each beside a good one: the instance says
// what is wrong, what is good of it works, and the others never notice.
func TestFaultyUpstreams(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.stdio(t, "alpha", "absent", "/nonexistent/mcp-server")
	m.mount(t, "alpha", "garbage", object{"transport": "stdio", "command": self, "args": []string{"faulty-upstream", "garbage"},
		"env": object{"FAULTY_TOKEN": "hidden-token"}})
	for _, fault := range []string{"hang", "name", "schema", "stuck", "mangle"} {
		m.stdio(t, "alpha", fault, self, "faulty-upstream", fault)
	}
	_, token := m.rest().key(t, fullAccess())
	client := modern{m.url + "/mcp", token}

	m.settle(t, "notes__read_note", "name__good", "schema__good", "stuck__good", "mangle__good")
	checkCallsIntoFaults(t, client)
	if said, failed := text(t, callTool(t, client, "notes__read_note", object{"title": "standup"})); failed {
		t.Errorf("the good upstream beside them: %s", said)
	}
	for name := range m.tools {
		if instance, _, mounted := strings.Cut(name, "__"); mounted && instance != "notes" && name != instance+"__good" ||
			instance == "hang" || instance == "garbage" || instance == "absent" {
			t.Errorf("%q is listed", name)
		}
	}
	for _, instance := range []string{"name", "schema"} {
		if said, failed := text(t, callTool(t, client, instance+"__good", object{})); failed || said != "from the good tool" {
			t.Errorf("%s__good: %s", instance, said)
		}
	}
	for instance, says := range map[string]string{"absent": "command not found: /nonexistent/mcp-server", "hang": "no answer to initialize in time",
		"garbage": "no answer to initialize in time; its standard output has lines that are not JSON-RPC, the first: <html>no JSON-RPC for [redacted]</html>"} {
		t.Run(instance, func(t *testing.T) {
			eventually(t, "it says what is wrong", func() string {
				got := m.rest().must(t, http.MethodGet, "/api/instances/"+m.instances[instance], nil)
				if problem, _ := got["problem"].(string); problem != says {
					return fmt.Sprint(got)
				}
				return ""
			})
		})
	}
	// The TypeScript SDK checks every definition: one bad one breaks its list.
	for _, sdk := range []string{"sdk-v1", "sdk-v2"} {
		if report := runSDK(t, sdk, clientSession{Target: withKey(m.url+"/mcp", token)})[0]; report.ConnectError != nil || len(report.Tools) < 7 {
			t.Errorf("%s sees %v, %+v", sdk, report.names(), report.ConnectError)
		}
	}
}

// checkCallsIntoFaults: a call that is never answered ends with its client and
// holds nobody else up; one answered with garbage says whose it was.
func checkCallsIntoFaults(t *testing.T, client modern) {
	t.Helper()
	message, header := client.request("tools/call", object{"name": "stuck__good", "arguments": object{}})
	ctx, cancel := context.WithCancel(context.Background())
	stuck := make(chan error, 1)
	go func() { stuck <- postUntil(ctx, client, message, header) }()
	if said, failed := text(t, callTool(t, client, "mangle__good", object{})); !failed || !strings.Contains(said, "mangle") {
		t.Errorf("a call answered with garbage says %q, want an error that names the instance", said)
	}
	if said, failed := text(t, callTool(t, client, "notes__read_note", object{"title": "standup"})); failed {
		t.Errorf("a call beside a stuck one: %s", said)
	}
	select {
	case err := <-stuck:
		t.Errorf("the stuck call was answered: %v", err)
	default:
	}
	cancel()
	if err := <-stuck; !errors.Is(err, context.Canceled) {
		t.Errorf("the stuck call ended with %v", err)
	}
}

// TestStartRefused: what makes a start impossible is said in one line on
// standard error, with exit code 1.
func TestStartRefused(t *testing.T) {
	t.Parallel()
	running := serve(t)
	address := strings.TrimPrefix(running.url, "http://")
	nobody := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"database down", []string{"--data", t.TempDir(), "--database-url", "postgres://me:hidden-password@" + nobody + "/bailiwick"}, nobody},
		{"second server on one file", []string{"--data", running.data}, running.data},
		{"address in use", []string{"--data", t.TempDir(), "--addr", address}, address},
		{"no such mcp.json", []string{"--data", t.TempDir(), "--mcp-config", "/nonexistent/mcp.json"}, "/nonexistent/mcp.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			command := exec.CommandContext(ctx, bailiwickBin, append([]string{"serve", "--addr", "127.0.0.1:0"}, c.args...)...)
			command.Env = cleanEnv()
			var out, problems bytes.Buffer
			command.Stdout, command.Stderr = &out, &problems
			if err := command.Run(); err == nil || command.ProcessState.ExitCode() != 1 {
				t.Errorf("%v, want exit 1", err)
			}
			if !strings.Contains(problems.String(), c.says) || strings.Contains(problems.String(), "hidden-password") {
				t.Errorf("standard error: %s, want it to name %s", &problems, c.says)
			}
			for line := range strings.Lines(problems.String()) {
				if !strings.HasPrefix(line, "error: ") && !strings.HasPrefix(line, "hint: ") {
					t.Errorf("standard error has a line that is neither the error nor its hint: %s", line)
				}
			}
			if strings.Count(problems.String(), "error: ") != 1 {
				t.Errorf("standard error: %s, want one line with the error", &problems)
			}
			if strings.Contains(out.String(), "listening") {
				t.Errorf("it listened: %s", &out)
			}
		})
	}
}
