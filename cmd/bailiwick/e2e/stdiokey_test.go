package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stdioKey is a running `bailiwick stdio` on a local store, with its one key.
type stdioKey struct {
	id, token string
	cmd       *exec.Cmd
	in        io.WriteCloser
	log       *lockedBuffer
	ended     chan struct{} // closed once its output has ended

	mu      sync.Mutex
	waiting map[string]chan json.RawMessage
}

// serveStdio starts it and waits until it answers.
func serveStdio(t testing.TB, data, id, token string) *stdioKey {
	t.Helper()
	k := startStdioKey(t, data, id, token)
	got := k.ask("initialize", object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "e2e-raw", "version": "1"}}, patience)
	if got == nil {
		t.Fatalf("stdio does not answer:\n%s", k.log)
	}
	fmt.Fprintln(k.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return k
}

func startStdioKey(t testing.TB, data, id, token string) *stdioKey {
	t.Helper()
	k := &stdioKey{id: id, token: token, log: &lockedBuffer{}, ended: make(chan struct{}), waiting: map[string]chan json.RawMessage{}}
	k.cmd = exec.Command(bailiwickBin, "stdio", "--data", data)
	k.cmd.Env = append(cleanEnv(), "BAILIWICK_KEY="+token)
	k.cmd.Stderr = k.log
	out, err := k.cmd.StdoutPipe()
	if err == nil {
		k.in, err = k.cmd.StdinPipe()
	}
	if err == nil {
		err = k.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go k.read(out)
	t.Cleanup(func() {
		_ = k.cmd.Process.Kill()
		<-k.ended
		_ = k.cmd.Wait()
	})
	return k
}

func (k *stdioKey) read(out io.Reader) {
	defer close(k.ended)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var message struct{ ID json.RawMessage }
		if json.Unmarshal(lines.Bytes(), &message) != nil {
			continue
		}
		k.mu.Lock()
		if to := k.waiting[string(message.ID)]; to != nil {
			to <- bytes.Clone(lines.Bytes())
			delete(k.waiting, string(message.ID))
		}
		k.mu.Unlock()
	}
}

// ask answers the response, nil where the process has ended or none came in time.
func (k *stdioKey) ask(method string, params object, limit time.Duration) json.RawMessage {
	id := fmt.Sprint(requestID.Add(1))
	answer := make(chan json.RawMessage, 1)
	k.mu.Lock()
	k.waiting[id] = answer
	k.mu.Unlock()
	message, err := json.Marshal(object{"jsonrpc": "2.0", "id": json.RawMessage(id), "method": method, "params": params})
	if err != nil {
		panic(err)
	}
	_, _ = k.in.Write(append(message, '\n'))
	select {
	case got := <-answer:
		return got
	case <-k.ended:
	case <-time.After(limit):
	}
	return nil
}

// call tells whether a call of a built-in tool was accepted.
func (k *stdioKey) call(tool string, arguments object, limit time.Duration) (accepted bool, answer string) {
	got := string(k.ask("tools/call", object{"name": tool, "arguments": arguments}, limit))
	return strings.Contains(got, `"result"`) && !strings.Contains(got, `"isError":true`), got
}

// callers call without a pause, until they are told to end, and note what is
// accepted of what began late.
type callers struct {
	over              atomic.Bool
	accepted, refused atomic.Int64
	wrong             atomic.Int64 // accepted though it began when all was over
	running           sync.WaitGroup
	began             chan struct{}
}

// by calls until three calls have begun after over, or one of them was
// not answered at all.
func (c *callers) by(call func() (accepted, answered bool)) {
	if c.began == nil {
		c.began = make(chan struct{}, 16)
	}
	began := c.began
	c.running.Go(func() {
		for after := 0; after < 3; {
			late := c.over.Load()
			accepted, answered := call()
			switch {
			case accepted && late:
				c.wrong.Add(1)
			case accepted:
				c.accepted.Add(1)
				select {
				case began <- struct{}{}:
				default:
				}
			default:
				c.refused.Add(1)
			}
			if late {
				after++
			}
			if !answered && late {
				return
			}
		}
	})
}
