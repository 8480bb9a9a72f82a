package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAuditTail: `bailiwick audit tail -f`, on the store and on a server, shows
// every event of a server and of a process beside it once, goes on when the server
// was away, and ends well when it is interrupted or nobody reads any more.
func TestAuditTail(t *testing.T) {
	t.Parallel()
	data, addr := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s := serveOn(t, data, nil, "--addr", addr) // the last --addr counts
	first := s.firstKey
	id, token := s.rest().key(t, fullAccess())
	beside := serveStdio(t, data, id, token)
	tails := map[string]*tail{
		"store":  startTail(t, nil, "--data", data),
		"server": startTail(t, []string{"BAILIWICK_KEY=" + first}, "--url", s.url),
	}
	for _, tail := range tails { // the key's making is the last that is there
		tail.await(t, func(e tailed) bool { return e.Action == "key.create" && e.Subject == id }, 1)
	}
	call := func(s *server, n int) {
		var both sync.WaitGroup
		both.Go(func() {
			for range n {
				if accepted, _ := s.whoami(token); !accepted {
					t.Error("a call failed")
				}
			}
		})
		for range n {
			if accepted, answer := beside.call("whoami", object{}, patience); !accepted {
				t.Errorf("a call over stdio failed: %s", answer)
			}
		}
		both.Wait()
	}
	isCall := func(e tailed) bool { return e.Kind == "call" }
	call(s, 100)
	for _, tail := range tails {
		tail.await(t, isCall, 200)
	}
	s.kill()
	eventually(t, "the tail says that the server is away", func() string {
		if strings.Contains(tails["server"].problems.String(), "waiting: nothing answers at "+s.url) {
			return ""
		}
		return fmt.Sprintf("it says %q", tails["server"].problems)
	})
	s = serveOn(t, data, nil, "--addr", addr)
	call(s, 20)
	for where, tail := range tails {
		tail.await(t, isCall, 240)
		tail.once(t)
		_ = tail.cmd.Process.Signal(map[string]os.Signal{"store": os.Interrupt, "server": syscall.SIGTERM}[where])
		<-tail.ended
		if err := tail.cmd.Wait(); err != nil {
			t.Errorf("%s: interrupted, it ends with %v: %s", where, err, tail.problems)
		}
	}
	if text := tails["store"].problems.String(); text != "" {
		t.Errorf("the tail of the store says %q", text)
	}
	checkClosedPipe(t, rest{s.url, first}, data)
}

// checkClosedPipe: nobody reads any more, which is no fault.
func checkClosedPipe(t *testing.T, r rest, data string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	command := exec.CommandContext(ctx, bailiwickBin, "audit", "tail", "-f", "-n", "1", "-o", "json", "--data", data)
	command.Env = cleanEnv()
	problems := &lockedBuffer{}
	command.Stderr = problems
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = write
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	if _, err := bufio.NewReader(read).ReadString('\n'); err != nil {
		t.Error(err)
	}
	_ = read.Close()
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	r.must(t, "POST", "/api/projects", object{"name": "one more event"})
	select {
	case err := <-ended:
		if err != nil || problems.String() != "" {
			t.Errorf("it ends with %v: %s", err, problems)
		}
	case <-time.After(patience):
		_ = command.Process.Kill()
		t.Error("it does not end")
	}
}

type tailed struct{ ID, Kind, Action, Subject string }

// tail is a running `bailiwick audit tail -f`.
type tail struct {
	cmd      *exec.Cmd
	problems *lockedBuffer
	ended    chan struct{}
	mu       sync.Mutex
	events   []tailed
}

func startTail(t *testing.T, env []string, args ...string) *tail {
	t.Helper()
	r := &tail{problems: &lockedBuffer{}, ended: make(chan struct{})}
	r.cmd = exec.Command(bailiwickBin, append([]string{"audit", "tail", "-f", "-o", "json"}, args...)...)
	r.cmd.Env, r.cmd.Stderr = append(cleanEnv(), env...), r.problems
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
		_ = r.cmd.Wait()
	})
	go func() {
		defer close(r.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e tailed
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("%v in %s", err, lines.Text())
			}
			r.mu.Lock()
			r.events = append(r.events, e)
			r.mu.Unlock()
		}
	}()
	return r
}

func (r *tail) await(t *testing.T, is func(tailed) bool, n int) {
	t.Helper()
	eventually(t, "events of the tail", func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		found := 0
		for _, e := range r.events {
			if is(e) {
				found++
			}
		}
		if found != n {
			return fmt.Sprintf("%d of %d: %s", found, n, r.problems)
		}
		return ""
	})
}

func (r *tail) once(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for _, e := range r.events {
		if seen[e.ID] {
			t.Errorf("%s is shown twice", e.ID)
		}
		seen[e.ID] = true
	}
}
