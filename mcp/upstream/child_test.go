package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func TestEndOfTheProcess(t *testing.T) {
	t.Run("deaf", func(t *testing.T) {
		path, wait := notes(t)
		m := run(t, stdio(t, "deaf", "UPSTREAM_TEST_NOTES", path)).ready()
		m.stop()
		wait("deaf") // its input was closed first
	})
	t.Run("descendants", func(t *testing.T) {
		m := run(t, stdio(t, "misbehave")).ready()
		var r struct{ Pid int }
		if err := json.Unmarshal([]byte(m.call("descendant", `{}`)), &r); err != nil || r.Pid < 2 {
			t.Fatal(r, err)
		}
		m.fails("crash", upstream.ErrDown)
		m.stop()
		waitGone(t, r.Pid)
	})
}

// waitGone waits until a process is dead (a zombie counts, where nobody reaps orphans).
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(b), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestHugeLine(t *testing.T) {
	m := run(t, stdio(t, "misbehave")).ready()
	if err := m.fails("huge", upstream.ErrGarbage); !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("error %v", err)
	}
}

// A child that does not read its input blocks no caller.
func TestChildThatDoesNotRead(t *testing.T) {
	m := run(t, stdio(t, "stuffed")).ready()
	big := raw(`{"x":"` + strings.Repeat("x", 30<<20) + `"}`)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var full int
	var mu sync.Mutex
	for range 3 {
		wg.Go(func() {
			_, err := m.Call(ctx, upstream.Call{Tool: "odd", Arguments: big})
			if errors.Is(err, upstream.ErrDown) {
				mu.Lock()
				defer mu.Unlock()
				full++
				cancel()
			}
		})
	}
	wg.Wait()
	cancel()
	if full != 1 {
		t.Errorf("%d calls were refused", full)
	}
}

// A child does not outlive us, even when we are killed and it minds nothing.
func TestChildDiesWithUs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a child that its parent died")
	}
	path, wait := notes(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), "UPSTREAM_TEST_SERVER=parent", "UPSTREAM_TEST_NOTES="+path)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(wait("pid "), "pid "))
	if err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	waitGone(t, pid)
}

func TestChildEnvironmentIsScrubbed(t *testing.T) {
	for _, name := range []string{"BAILIWICK_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "GOPATH", "SSH_AUTH_SOCK"} {
		t.Setenv(name, "canary")
	}
	t.Setenv("LANG", "xx_YY")
	t.Setenv("SHELL", "() { :; }; canary")
	m := run(t, stdio(t, "genuine", "OWN", "mine")).ready()
	var r struct{ Content []struct{ Text string } }
	if err := json.Unmarshal([]byte(m.call("environ", `{}`)), &r); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, line := range strings.Split(r.Content[0].Text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	for name, want := range map[string]string{"OWN": "mine", "LANG": "xx_YY", "PATH": os.Getenv("PATH")} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	allowed := " PATH HOME USER LOGNAME SHELL LANG LC_ALL LC_CTYPE TERM TMPDIR TZ OWN UPSTREAM_TEST_SERVER "
	for name, value := range got {
		if !strings.Contains(allowed, " "+name+" ") || strings.Contains(value, "canary") {
			t.Errorf("the child has %s=%s", name, value)
		}
	}
}

func TestCrashEndsPendingCallsAndRestarts(t *testing.T) {
	path, wait := notes(t)
	m := run(t, stdio(t, "misbehave", "UPSTREAM_TEST_NOTES", path)).ready()
	var pending sync.WaitGroup
	for range 5 {
		pending.Go(func() { m.fails("silent", upstream.ErrDown) })
	}
	wait("silent 7") // discover, initialize and list were 1 to 3
	err := m.fails("crash", upstream.ErrDown)
	pending.Wait()
	if !strings.Contains(err.Error(), "fixture: ") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("error %v", err)
	}
	if st := m.down(); !strings.Contains(st.Problem, "exit status 7") {
		t.Errorf("status %+v", st)
	}
	m.until("the restart", func() bool { return len(m.lists) == 2 && m.last().State == upstream.StateReady })
	m.call("odd", `{}`)
}
