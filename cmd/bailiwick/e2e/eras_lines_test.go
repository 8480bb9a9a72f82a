package e2e_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// lineDoor is a `bailiwick stdio`.
type lineDoor struct {
	t       *testing.T
	token   string
	flags   []string
	mu      sync.Mutex
	in      io.WriteCloser
	started sync.Once
}

func localDoor(t *testing.T, m *mounted, token string) eraDoor {
	return &lineDoor{t: t, token: token, flags: []string{"--data", m.data}}
}

func relayDoor(t *testing.T, m *mounted, token string) eraDoor {
	return &lineDoor{t: t, token: token, flags: []string{"--url", m.url}}
}

func (d *lineDoor) send(c *eraClient, m object) error {
	var failure error
	d.started.Do(func() { failure = d.start(c) })
	if failure != nil {
		return failure
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err = d.in.Write(append(raw, '\n'))
	return err
}

func (d *lineDoor) leave(c *eraClient, id int64) error { return d.send(c, cancellation(id)) }

// start runs the process until the test's end, when its input ends, and so does it.
func (d *lineDoor) start(c *eraClient) error {
	command := exec.Command(bailiwickBin, append([]string{"stdio"}, d.flags...)...)
	command.Env = append(cleanEnv(), "BAILIWICK_KEY="+d.token)
	var problems lockedBuffer
	command.Stderr = &problems
	in, err := command.StdinPipe()
	if err != nil {
		return err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	d.in = in
	over := make(chan struct{})
	go func() {
		defer close(over)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			c.hear(lines.Bytes())
		}
		_ = command.Wait()
		c.fail("bailiwick stdio ended: " + problems.String())
	}()
	d.t.Cleanup(func() {
		_ = in.Close()
		select {
		case <-over:
		case <-time.After(patience / 3):
			_ = command.Process.Kill()
			<-over
			d.t.Error("bailiwick stdio did not end when its input did")
		}
		if problems.String() != "" && d.t.Failed() {
			d.t.Logf("bailiwick stdio says %s", problems.String())
		}
	})
	return nil
}
