package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	maxStray   = 1000 // lines in a row that are no messages
	maxShown   = 120  // runes of such a line in a problem
	maxLogLine = 4 << 10
	maxQueue   = 64 << 20 // bytes that wait for a child to read them
	maxWrite   = 64 << 10 // of them that are written at once: what a pipe holds
)

// child is the stdio transport: a process of our own, one message a line.
type child struct {
	u      *Upstream
	mux    mux
	proc   *os.Process
	stdin  *os.File
	exited chan struct{} // closed when the process is gone and reaped
	exit   error         // why; set before exited is closed
	read   chan struct{} // closed when its output was read to the end
	wg     sync.WaitGroup
	stray  atomic.Pointer[string] // the first line that is no message since the last that is one

	mu     sync.Mutex
	queue  []byte // lines that are not being written yet
	spare  []byte // memory for the next ones
	queued int    // bytes of all that are not written yet
	wake   chan struct{}
	loss
}

// end ends the open requests and makes the link useless, in this order, so
// that they get this reason and not that of whoever sees the loss.
func (c *child) end(err error) {
	c.mux.fail(err)
	c.lose(err)
}

// readAll reads messages until the output ends.
func (c *child) readAll(out *os.File) {
	defer close(c.read)
	err := c.scan(out)
	if !errors.Is(err, ErrGarbage) {
		// The exit status says more than the end of the output.
		select {
		case <-c.exited:
			err = c.exit
		case <-time.After(lastWords):
			err = fmt.Errorf("%w: it closed its standard output", ErrDown)
		}
		err = c.heard(err)
	}
	c.end(err)
}

// scan hands on the messages. Lines that are no messages are passed over, for
// many programs greet on standard output, and some are installed first and tell
// of it there, but not without end; and a message
// that is cut or mangled may be somebody's answer, so it ends the connection.
func (c *child) scan(out *os.File) error {
	r := bufio.NewReaderSize(out, 64<<10)
	for stray := 0; ; {
		line, own, err := readLine(r, maxMessage)
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !own {
			line = bytes.Clone(line)
		}
		f, err := parseFrame(line)
		if err == nil {
			stray = 0
			c.stray.Store(nil)
			c.mux.route(f, 0)
			continue
		}
		if errors.Is(err, rawjson.ErrInvalid) && bytes.Contains(line[:min(len(line), 512)], []byte(`"jsonrpc"`)) {
			return fmt.Errorf("%w: a message on its standard output is %w", ErrGarbage, err)
		}
		if stray++; stray == 1 {
			first := printable(c.u.redact.Replace(string(line)), maxShown)
			c.stray.Store(&first)
		}
		if stray > maxStray {
			return c.heard(fmt.Errorf("%w: %d lines in a row", ErrGarbage, stray))
		}
		c.logLine("stray line on standard output", line)
	}
}

// heard adds to err what came instead of messages.
func (c *child) heard(err error) error {
	if line := c.stray.Load(); line != nil {
		return &strayError{err, *line}
	}
	return err
}

// logErrors logs what the child writes on its error output.
func (c *child) logErrors(out *os.File) {
	r := bufio.NewReaderSize(out, maxLogLine)
	for rest := false; ; {
		line, more, err := r.ReadLine()
		if err != nil {
			return
		}
		if !rest {
			c.logLine("standard error", line)
		}
		rest = more
	}
}

// logLine logs a foreign line, without our own credentials, at debug only: it
// may hold anything.
func (c *child) logLine(what string, line []byte) {
	if e := c.u.log.Check(zap.DebugLevel, "upstream's "+what); e != nil {
		e.Write(zap.String("line", printable(c.u.redact.Replace(string(line[:min(len(line), maxLogLine)])), maxLogLine)))
	}
}

// writeAll writes what is queued until the link is lost, as much as there is in
// one write.
func (c *child) writeAll() {
	for {
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
		runtime.Gosched() // what else is about to be queued goes with it
		c.mu.Lock()
		queue := c.queue
		c.queue, c.spare = c.spare, nil
		c.mu.Unlock()
		for rest := queue; len(rest) > 0; {
			n, err := c.stdin.Write(rest[:min(len(rest), maxWrite)])
			if err != nil {
				return // it is ending, or being ended
			}
			rest = rest[n:]
			c.mu.Lock()
			c.queued -= n
			c.mu.Unlock()
		}
		if cap(queue) <= maxWrite {
			c.mu.Lock()
			c.spare = queue[:0]
			c.mu.Unlock()
		}
	}
}

// push queues a message, so that a child that does not read blocks nobody.
func (c *child) push(message []byte) error {
	size := len(message) + 1
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued+size > maxQueue {
		return fmt.Errorf("%w: it does not read its input", ErrDown)
	}
	c.queue, c.queued = append(append(c.queue, message...), '\n'), c.queued+size
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

func (c *child) exchange(ctx context.Context, r *request) (frame, error) {
	box, err := c.mux.register(r)
	if err != nil {
		return frame{}, err
	}
	defer c.mux.drop(r.id)
	if err := c.push(r.message); err != nil {
		return frame{}, err
	}
	f, err := box.wait(ctx, r.notes)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
		if r.told {
			c.notify(cancelled(r.id))
		} else {
			err = c.heard(err)
		}
	}
	return f, err
}

func (c *child) notify(message []byte) { _ = c.push(message) }

// speak and stream have nothing to do: there is one stream, and its messages
// are the same for every version.
func (c *child) speak(string)                   {}
func (c *child) stream(context.Context, func()) {}
