package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bailiwick-mcp/bailiwick/db"
)

const (
	poolerPort = "6432" // of a Unix socket in a folder of its own
	// poolerConnections are few, so that clients share them for real.
	poolerConnections = 5
)

// Pooler is a PgBouncer in transaction mode before the tests' Postgres server:
// each transaction may run on another connection.
type Pooler struct{ dir string }

// StartPooler runs PgBouncer until the test ends. Where it is not installed the
// test is skipped, and fails when CI=true.
func StartPooler(t testing.TB) *Pooler {
	t.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		bin, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal("no PgBouncer for the tests: install Debian's package pgbouncer")
	default:
		t.Skip("SKIPPED, NO PGBOUNCER: install Debian's package pgbouncer")
	}
	owner, err := owner() // it refuses to be run by root, as Postgres does
	if err != nil {
		t.Fatal(err)
	}
	dir, err := makeFolder(owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "pgbouncer.ini")
	text, err := poolerConfig(require(t).url, dir)
	if err := errors.Join(err, os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	output := &bytes.Buffer{}
	stop := startPooler(t, exec.Command(bin, "-q", file), owner, output)
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("PgBouncer said: %s", output)
		}
	})
	p := &Pooler{dir}
	p.awaitReady(t)
	return p
}

// poolerConfig lets every client in as the tests' user, who is trusted anyway.
func poolerConfig(server, dir string) (string, error) {
	to, err := pgx.ParseConfig(server)
	if err != nil {
		return "", err
	}
	var at strings.Builder
	for name, value := range map[string]string{"host": to.Host, "port": strconv.Itoa(int(to.Port)), "user": to.User, "password": to.Password} {
		if value != "" {
			fmt.Fprintf(&at, " %s='%s'", name, strings.ReplaceAll(value, "'", "''"))
		}
	}
	return fmt.Sprintf(`[databases]
* =%s
[pgbouncer]
pool_mode = transaction
auth_type = any
listen_port = %s
unix_socket_dir = %s
default_pool_size = %d
max_client_conn = 1000
server_idle_timeout = 2
`, at.String(), poolerPort, dir, poolerConnections), nil
}

// startPooler starts the command on a thread that waits for it: the parent-death
// signal is about the thread that started it.
func startPooler(t testing.TB, cmd *exec.Cmd, owner *syscall.Credential, output *bytes.Buffer) (stop func()) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = processAttributes(owner)
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		<-done
	}
}

func (p *Pooler) awaitReady(t testing.TB) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(bootTime); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(context.Background(), p.url("postgres")); err == nil {
			_ = conn.Close(context.Background())
			return
		}
	}
	t.Fatalf("PgBouncer is not ready: %v", err)
}

func (p *Pooler) url(database string) string {
	query := url.Values{"host": {p.dir}, "port": {poolerPort}, "user": {clusterUser}, "sslmode": {"disable"}}
	return "postgres:///" + database + "?" + query.Encode()
}

// Through is the way to a test's database by the pooler alone.
func (p *Pooler) Through(t testing.TB, cfg db.Config) db.Config {
	t.Helper()
	to, err := pgx.ParseConfig(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.URL = p.url(to.Database)
	return cfg
}
