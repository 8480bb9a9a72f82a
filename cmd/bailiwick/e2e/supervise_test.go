package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestKilledUpstream kills an upstream's process while a call runs in it, and
// calls another upstream at every stage. Its command starts only while a flag
// file is there, so that each stage lasts until the test has seen it.
func TestKilledUpstream(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	flag := filepath.Join(t.TempDir(), "may-start")
	setFlag := func() {
		if err := os.WriteFile(flag, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	setFlag()
	m.stdio(t, "alpha", "fragile", "/bin/sh", "-c", `test -e "$0" && exec "$1" "$2" stdio`, flag, nodePath(t), everything(t))
	m.settle(t, "fragile__echo", "fragile__trigger-long-running-operation")
	_, token := m.rest().key(t, fullAccess())
	client := modern{m.url + "/mcp", token}

	stopOthers := keepCalling(t, client)
	running := callWithoutEnd(t, client)
	callOthers(t, client)
	if running.over() {
		t.Fatalf("the long call was answered: %q", running.log.String())
	}
	first := childOf(t, m.cmd.Process.Pid, "server-everything")
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-running.ended:
		body, err := responseEvent(strings.NewReader(running.log.String()))
		checkNamesInstance(t, "the call that ran", must(answer{body: body}, err)(t))
	case <-time.After(patience):
		t.Error("the call that ran in the killed process was never answered")
	}
	isDown := func(when string) {
		t.Helper()
		checkNamesInstance(t, when, callTool(t, client, "fragile__echo", object{"message": "x"}))
	}
	isDown("a call while it is down")
	if tools := listTools(t, client); tools["fragile__echo"] == nil {
		t.Error("the tools of an upstream that is down are no longer listed")
	}
	callOthers(t, client)
	isDown("a call after those to another upstream")

	setFlag()
	eventually(t, "the upstream is back by itself", func() string {
		if got, failed := text(t, callTool(t, client, "fragile__echo", object{"message": "again"})); failed {
			return got
		}
		return ""
	})
	if again := childOf(t, m.cmd.Process.Pid, "server-everything"); again == first {
		t.Errorf("process %d answers though it was killed", first)
	}
	stopOthers()
}

// callWithoutEnd begins a call that outlasts the test, and waits until the
// upstream works on it.
func callWithoutEnd(t *testing.T, client modern) *stream {
	t.Helper()
	message, header := client.request("tools/call", object{"name": "fragile__trigger-long-running-operation",
		"arguments": object{"duration": 3000, "steps": 30_000}})
	message["params"].(object)["_meta"].(object)["progressToken"] = "running"
	response, err := begin(client.url, client.token, message, header)
	if err != nil {
		t.Fatal(err)
	}
	s := follow(t, "the call", response)
	s.await(t, "notifications/progress")
	return s
}

func checkNamesInstance(t *testing.T, what string, got answer) {
	t.Helper()
	if message, failed := text(t, got); !failed || !strings.Contains(message, "fragile") {
		t.Errorf("%s: %s, want an isError result that names the instance", what, got.body)
	}
}

// callOthers calls another upstream, one call after the other.
func callOthers(t *testing.T, client mcpClient) {
	t.Helper()
	for range 10 {
		if err := callOther(client); err != nil {
			t.Fatal(err)
		}
	}
}

func callOther(client mcpClient) error {
	got, err := client.ask("tools/call", object{"name": "notes__list_notes", "arguments": object{}})
	if err != nil || !bytes.Contains(got.body, []byte("groceries")) {
		return fmt.Errorf("a call to another upstream failed: %v %d %s", err, got.status, got.body)
	}
	return nil
}

// keepCalling calls another upstream until the answered function is called,
// also at the moments between the stages.
func keepCalling(t *testing.T, client mcpClient) (stop func()) {
	ending, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for calls := 0; ; calls++ {
			select {
			case <-ending:
				t.Logf("%d calls to another upstream", calls)
				return
			case <-time.After(5 * time.Millisecond): // leave the machine to others
			}
			if err := callOther(client); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	stop = sync.OnceFunc(func() { close(ending); <-done })
	t.Cleanup(stop)
	return stop
}

// childOf finds the process below pid whose command line holds the text.
func childOf(t *testing.T, pid int, holds string) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no /proc to look in: %v", err)
	}
	parents := map[int]int{}
	for _, file := range stats {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		parents[child], _ = strconv.Atoi(fields[1])
	}
	for child := range parents {
		for above := parents[child]; above > 1; above = parents[above] {
			if above != pid {
				continue
			}
			command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			if bytes.Contains(command, []byte(holds)) {
				return child
			}
		}
	}
	t.Fatalf("process %d has no child that runs %s", pid, holds)
	return 0
}
