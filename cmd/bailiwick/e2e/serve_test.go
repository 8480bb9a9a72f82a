package e2e_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests: long enough for a busy machine,
// and never what a promise is measured by.
const patience = 60 * time.Second

// server is a running `bailiwick serve`.
type server struct {
	url      string // http://host:port
	firstKey string // empty when the store was not new
	data     string
	cmd      *exec.Cmd
	log      *lockedBuffer
	exited   chan struct{}
}

// serve starts the binary with a data folder of its own, or with the one that
// args name, and waits until it listens. It ends with the test.
func serve(t testing.TB, args ...string) *server {
	t.Helper()
	return serveOn(t, t.TempDir(), nil, args...)
}

func serveOn(t testing.TB, data string, env []string, args ...string) *server {
	t.Helper()
	return serveBinary(t, bailiwickBin, data, env, args...)
}

func serveBinary(t testing.TB, binary, data string, env []string, args ...string) *server {
	t.Helper()
	command := exec.Command(binary, append([]string{"serve", "--addr", "127.0.0.1:0", "--data", data}, args...)...)
	command.Env = append(cleanEnv(), env...)
	return started(t, command, data)
}

// started starts a server, and waits until it says that it listens. It ends with
// the test.
func started(t testing.TB, command *exec.Cmd, data string) *server {
	t.Helper()
	s := &server{data: data, cmd: command, log: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(s.exited)
		s.readOutput(stdout, listening)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() { s.stop(t) })
	select {
	case <-listening:
	case <-s.exited:
		t.Fatalf("the server ended before it listened:\n%s", s.log)
	case <-time.After(patience):
		t.Fatalf("the server does not listen:\n%s", s.log)
	}
	return s
}

// readOutput takes the two lines that standard output carries.
func (s *server) readOutput(stdout io.Reader, listening chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if key, ok := strings.CutPrefix(lines.Text(), "first key: "); ok {
			s.firstKey = key
		}
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok && s.url == "" {
			s.url = url
			close(listening)
		}
	}
}

// stop ends the server in the orderly way, and shows its log if the test failed.
func (s *server) stop(t testing.TB) {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
		t.Errorf("the server did not end within 20 s of SIGTERM")
	}
	if t.Failed() {
		t.Logf("the end of the server's log, without requests:\n%s", s.log.tail())
	}
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// cleanEnv is this process's environment without what would configure Bailiwick.
func cleanEnv() []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BAILIWICK_") && !strings.HasPrefix(pair, "DATABASE_URL=") {
			env = append(env, pair)
		}
	}
	return env
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// tail is the last of the log that is not a plain request.
func (b *lockedBuffer) tail() string {
	var lines []string
	for line := range strings.Lines(b.String()) {
		if !strings.Contains(line, `"msg":"request"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

// eventually polls until ok answers "" (else what is still wrong).
func eventually(t testing.TB, what string, ok func() string) {
	t.Helper()
	var problem string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if problem = ok(); problem == "" {
			return
		}
	}
	t.Fatalf("%s: not within %s: %s", what, patience, problem)
}
