package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestKilledUpstream kills an upstream's process while a call runs in it and
// while another upstream is called all the time. Its command starts only while
// a flag file is there, so that "down" lasts until the test has seen it.
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
	running := make(chan answer, 1)
	go func() {
		got, _ := client.ask("tools/call", object{"name": "fragile__trigger-long-running-operation",
			"arguments": object{"duration": 300, "steps": 1}})
		running <- got
	}()
	first := childOf(t, m.cmd.Process.Pid, "server-everything")
	time.Sleep(200 * time.Millisecond) // let the long call reach it
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-running:
		checkNamesInstance(t, "the call that ran", got)
	case <-time.After(patience):
		t.Error("the call that ran in the killed process was never answered")
	}
	checkNamesInstance(t, "a call while it is down", callTool(t, client, "fragile__echo", object{"message": "x"}))
	if tools := listTools(t, client); tools["fragile__echo"] == nil {
		t.Error("the tools of an upstream that is down are no longer listed")
	}

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

func checkNamesInstance(t *testing.T, what string, got answer) {
	t.Helper()
	if message, failed := text(t, got); !failed || !strings.Contains(message, "fragile") {
		t.Errorf("%s: %s, want an isError result that names the instance", what, got.body)
	}
}

// keepCalling calls another upstream until the answered function is called,
// which reports any call that failed or had to wait.
func keepCalling(t *testing.T, client mcpClient) (stop func()) {
	var ending atomic.Bool
	done := make(chan struct{})
	var calls int
	var slowest time.Duration
	go func() {
		defer close(done)
		for !ending.Load() {
			began := time.Now()
			got, err := client.ask("tools/call", object{"name": "notes__list_notes", "arguments": object{}})
			if err != nil || !bytes.Contains(got.body, []byte("groceries")) {
				t.Errorf("a call to another upstream failed: %v %d %s", err, got.status, got.body)
				return
			}
			calls++
			slowest = max(slowest, time.Since(began))
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() {
		ending.Store(true)
		<-done
		t.Logf("%d calls to another upstream meanwhile, slowest %s", calls, slowest)
		// Far above a busy machine's noise, far below any timeout or back-off.
		if calls < 10 || slowest > 5*time.Second {
			t.Errorf("calls to another upstream had to wait")
		}
	}
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
