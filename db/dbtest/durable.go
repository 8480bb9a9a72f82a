package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a Postgres server of a test's own that keeps what it has
// acknowledged (fsync and synchronous_commit are on), and that can be killed,
// frozen and started again. It listens on a port of 127.0.0.1 that stays the same.
type Cluster struct {
	cluster
	// Host is 127.0.0.1:port.
	Host   string
	server *os.Process
	exited <-chan struct{}
	output *bytes.Buffer
}

// Durable starts a cluster of the machine's own binaries, until the test ends.
// Settings are "name=value", beside what makes it durable. Without the binaries
// the test is skipped, and fails when CI=true.
func Durable(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	return startDurable(t, settings, func(ctx context.Context, c *Cluster) error {
		return c.prepare(ctx, "initdb", "-D", c.data(), "-U", clusterUser, "-A", "trust", "-E", "UTF8",
			"--locale=C", "-N", "--no-instructions")
	})
}

// Standby starts a copy of the cluster that follows it by streaming
// replication under the application_name given, until the test ends.
func (c *Cluster) Standby(t testing.TB, name string) *Cluster {
	t.Helper()
	from := fmt.Sprintf("host=127.0.0.1 port=%s user=%s application_name=%s", c.port(), clusterUser, name)
	return startDurable(t, nil, func(ctx context.Context, s *Cluster) error {
		return s.prepare(ctx, "pg_basebackup", "-D", s.data(), "-d", from, "-R", "-X", "stream", "-c", "fast")
	})
}

func startDurable(t testing.TB, settings []string, fill func(context.Context, *Cluster) error) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*bootTime)
	defer cancel()
	bin, err := binaries(ctx)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("SKIPPED, NO POSTGRES: %v", err)
	}
	owner, err2 := owner()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	dir, err := makeFolder(owner)
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{cluster: cluster{bin: bin, dir: dir, owner: owner}, Host: net.JoinHostPort("127.0.0.1", port)}
	c.settings = append([]string{"listen_addresses=127.0.0.1", "port=" + port, "fsync=on", "synchronous_commit=on"}, settings...)
	if err := c.cleanUpAfter(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Kill(t)
		if err := errors.Join(c.alive.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := fill(ctx, c); err != nil {
		t.Fatal(err)
	}
	c.Start(t)
	return c
}

// freePort is a port that nobody has now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

func (c *Cluster) port() string {
	_, port, _ := net.SplitHostPort(c.Host)
	return port
}

// URL leads to the cluster's database "postgres", which is empty at first.
// Further hosts and parameters ("name", "value") may follow.
func (c *Cluster) URL(others ...*Cluster) string {
	hosts := []string{c.Host}
	query := url.Values{"sslmode": {"disable"}}
	for _, o := range others {
		hosts = append(hosts, o.Host)
		query.Set("target_session_attrs", "read-write")
	}
	return "postgres://" + clusterUser + "@" + strings.Join(hosts, ",") + "/postgres?" + query.Encode()
}

// Start starts the server, and returns when it accepts connections.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bootTime)
	defer cancel()
	var err error
	if c.server, c.exited, c.output, err = c.serve(); err != nil {
		t.Fatalf("starting postgres: %v", err)
	}
	for {
		conn, err := pgx.Connect(ctx, c.URL())
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-c.exited:
			t.Fatalf("postgres ended at once: %s", c.output)
		case <-ctx.Done():
			t.Fatalf("postgres accepts no connection: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill ends all processes of the server at once, as kill -9 does, and returns
// when none is left. What they leave lying about is what Start has to cope with,
// but for the files that name the processes: their numbers may be others' by then.
func (c *Cluster) Kill(t testing.TB) {
	t.Helper()
	if c.server == nil {
		return
	}
	// Stopped first, it starts no other process while they are counted.
	_ = c.server.Signal(syscall.SIGSTOP)
	all := append(c.children(t), c.server.Pid)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-c.exited
	for _, pid := range all {
		for deadline := time.Now().Add(bootTime); running(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d of postgres does not end", pid)
			}
		}
	}
	c.server = nil
	for _, path := range []string{filepath.Join(c.data(), "postmaster.pid"), filepath.Join(c.dir, ".s.PGSQL."+c.port()+".lock")} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}

// Freeze stops all processes of the server (SIGSTOP): it keeps its connections
// and takes new ones, and answers nothing. The returned function lets them go on.
func (c *Cluster) Freeze(t testing.TB) (thaw func()) {
	t.Helper()
	_ = c.server.Signal(syscall.SIGSTOP)
	all := append(c.children(t), c.server.Pid)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	return func() {
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

// Promote makes a standby the primary, and returns when it takes writes.
func (c *Cluster) Promote(t testing.TB) {
	t.Helper()
	c.Exec(t, "SELECT pg_promote(true, 60)")
}

// Exec runs a statement.
func (c *Cluster) Exec(t testing.TB, statement string) {
	t.Helper()
	if err := (&server{url: c.URL()}).exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// children are the processes that the server has started.
func (c *Cluster) children(t testing.TB) (pids []int) {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		t.Fatalf("looking for postgres's processes: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		var pid, parent int
		if n, _ := fmt.Sscan(line, &pid, &parent); n == 2 && parent == c.server.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// running is false of a process that is gone, or dead and not yet waited for by
// whoever inherited it.
func running(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(state)), "Z")
}

// Count answers the one number that a query finds.
func (c *Cluster) Count(t testing.TB, query string) (n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
