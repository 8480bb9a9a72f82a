package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const (
	closeGrace = time.Second     // from closing its input to SIGTERM
	termGrace  = 2 * time.Second // from SIGTERM to SIGKILL
	lastWords  = time.Second     // for reading what a dead child left in the pipe
)

// startChild starts the command in a process group of its own.
func startChild(u *Upstream, s *session) (*child, error) {
	path, err := lookCommand(&u.cfg)
	if err != nil {
		return nil, err
	}
	c := &child{u: u, exited: make(chan struct{}), read: make(chan struct{}), wake: make(chan struct{}, 1),
		loss: loss{gone: make(chan struct{})}}
	c.mux.session, c.mux.answer = s, c.notify
	cmd := exec.Command(path, u.cfg.Args...)
	cmd.Args[0] = u.cfg.Command
	cmd.Env = environ(&u.cfg)
	ownGroup(cmd)
	// Own pipes: those of exec.Cmd would be closed before they were read out.
	theirs, ours, err := pipes(cmd)
	if err == nil {
		err = c.run(cmd)
		closeAll(theirs)
	}
	if err != nil {
		closeAll(ours)
		if start, ok := errors.AsType[*fs.PathError](err); ok {
			err = start.Err // without the system call's name
		}
		return nil, fmt.Errorf("%w: command %s cannot be started: %w", ErrDown, printable(u.cfg.Command, 100), err)
	}
	c.stdin = ours[0]
	c.wg.Go(c.writeAll)
	c.wg.Go(func() { c.readAll(ours[1]) })
	c.wg.Go(func() { c.logErrors(ours[2]) })
	c.wg.Go(func() { c.reap(ours[1:]) })
	return c, nil
}

// pipes connects the command; ours are its input, output and error output.
func pipes(cmd *exec.Cmd) (theirs, ours []*os.File, err error) {
	for i := range 3 {
		r, w, e := os.Pipe()
		if e != nil {
			closeAll(append(theirs, ours...))
			return nil, nil, e
		}
		switch i {
		case 0:
			cmd.Stdin, theirs, ours = r, append(theirs, r), append(ours, w)
		case 1:
			cmd.Stdout, theirs, ours = w, append(theirs, w), append(ours, r)
		case 2:
			cmd.Stderr, theirs, ours = w, append(theirs, w), append(ours, r)
		}
	}
	return theirs, ours, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// run starts the command and waits for it, both in one thread that stays until
// then: Linux sends the parent-death signal when the starting thread ends.
func (c *child) run(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err != nil {
			close(c.exited)
			started <- err
			return
		}
		c.proc = cmd.Process
		started <- nil
		_ = cmd.Wait()
		c.exit = fmt.Errorf("%w: its process ended: %s", ErrDown, cmd.ProcessState)
		close(c.exited)
	}()
	return <-started
}

// reap cleans up behind the process: what is left of its group, and a pipe
// that a descendant outside the group still holds.
func (c *child) reap(outputs []*os.File) {
	<-c.exited
	killGroup(c.proc)
	select {
	case <-c.read:
	case <-time.After(lastWords):
	}
	closeAll(outputs)
}

// close ends the child: its input is closed, then its group gets SIGTERM, then
// SIGKILL (MCP 2025-11-25, basic/lifecycle, shutdown).
func (c *child) close() {
	c.end(ErrDown)
	_ = c.stdin.Close()
	for _, step := range []struct {
		grace time.Duration
		next  func(*os.Process)
	}{{closeGrace, endGroup}, {termGrace, killGroup}} {
		select {
		case <-c.exited:
		case <-time.After(step.grace):
			step.next(c.proc)
		}
	}
	<-c.exited
	c.wg.Wait()
}
