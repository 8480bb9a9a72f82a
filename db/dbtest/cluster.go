package dbtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	clusterUser = "bailiwick"
	// socketPath is the longest path that a Unix socket can have, less the
	// name that Postgres gives to it.
	socketPath = 107 - len("/.s.PGSQL.5432.lock")
	// bootTime is how long a cluster may take to answer on a busy machine.
	bootTime = time.Minute
)

// folders are where distributions put the server's binaries, newest last.
var folders = []string{
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
}

// startCluster runs a private cluster of the machine's own binaries, reached
// by a Unix socket alone. It ends with this process, and so does its folder.
func startCluster(ctx context.Context) (string, error) {
	bin, err := binaries(ctx)
	if err != nil {
		return "", err
	}
	owner, err := owner()
	if err != nil {
		return "", err
	}
	dir, err := makeFolder(owner)
	if err != nil {
		return "", err
	}
	c := &cluster{bin: bin, dir: dir, owner: owner, settings: []string{
		"listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
	}}
	if err := c.run(ctx); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	query := url.Values{"host": {dir}, "user": {clusterUser}, "sslmode": {"disable"}}
	return "postgres:///postgres?" + query.Encode(), nil
}

type cluster struct {
	bin, dir string
	owner    *syscall.Credential // nil = who runs the tests
	settings []string            // beside those that every cluster has
	alive    io.Closer           // the pipe whose end tells the clean-up that this process is gone
}

// binaries finds the folder of initdb and postgres.
func binaries(ctx context.Context) (string, error) {
	var dirs []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, pattern := range folders {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append([]string{filepath.Dir(path)}, dirs...)
		}
	}
	for _, dir := range dirs {
		_, noServer := os.Stat(filepath.Join(dir, "postgres"))
		_, noInit := os.Stat(filepath.Join(dir, "initdb"))
		if noServer == nil && noInit == nil {
			return dir, nil
		}
	}
	return "", errors.New("no Postgres server binaries (initdb, postgres) on this machine")
}

// owner is who runs the server: Postgres refuses to be run by root.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root may not run Postgres, and its user is missing: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// makeFolder makes a folder with a path short enough for a socket in it.
func makeFolder(owner *syscall.Credential) (string, error) {
	base := os.TempDir()
	if len(base)+len("/bailiwick-pg-0000000000") > socketPath {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "bailiwick-pg-")
	if err != nil || owner == nil {
		return dir, err
	}
	return dir, os.Chown(dir, int(owner.Uid), int(owner.Gid))
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = processAttributes(c.owner)
	return cmd
}

func (c *cluster) run(ctx context.Context) error {
	if err := c.cleanUpAfter(); err != nil {
		return err
	}
	if err := c.prepare(ctx, "initdb", "-D", c.data(), "-U", clusterUser, "-A", "trust", "-E", "UTF8",
		"--locale=C", "-N", "--no-instructions"); err != nil {
		return err
	}
	_, exited, output, err := c.serve()
	if err != nil {
		return fmt.Errorf("starting postgres: %w", err)
	}
	return c.awaitReady(ctx, exited, output)
}

// prepare runs a program to its end.
func (c *cluster) prepare(ctx context.Context, name string, args ...string) error {
	runtime.LockOSThread() // see serve
	defer runtime.UnlockOSThread()
	if out, err := c.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// serve starts the server on a thread that lives as long as the process: the
// parent-death signal is about the thread that started it.
func (c *cluster) serve() (server *os.Process, exited <-chan struct{}, output *bytes.Buffer, err error) {
	output = &bytes.Buffer{}
	args := []string{"-D", c.data(), "-k", c.dir, "-c", "max_connections=200", "-c", "shared_buffers=32MB"}
	for _, setting := range c.settings {
		args = append(args, "-c", setting)
	}
	cmd := c.command(context.Background(), "postgres", args...)
	cmd.Stdout, cmd.Stderr = output, output
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		started <- cmd.Start()
		if cmd.Process != nil {
			_ = cmd.Wait()
		}
		runtime.KeepAlive(c) // a pipe that nobody holds is closed by the collector
	}()
	err = <-started
	return cmd.Process, done, output, err
}

// cleanUpAfter leaves a shell behind that waits for this process to end, in
// whatever way, and then stops what runs in the folder and removes it.
func (c *cluster) cleanUpAfter() (err error) {
	const script = `cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
n=0; while [ $n -lt 50 ] && [ -e "$1" ]; do rm -rf "$1" 2>/dev/null || sleep 0.1; n=$((n+1)); done`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", c.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.alive, err = cmd.StdinPipe(); err != nil { // never written
		return err
	}
	return cmd.Start()
}

// awaitReady polls the last line of postmaster.pid, which is the server's state.
func (c *cluster) awaitReady(ctx context.Context, exited <-chan struct{}, output *bytes.Buffer) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	for {
		state, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
		if err == nil && strings.HasSuffix(strings.TrimSpace(string(state)), "ready") {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("postgres ended at once: %s", output)
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
