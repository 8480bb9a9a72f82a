package mcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// stdioPatience is how long running calls may finish after the input ended.
const stdioPatience = 10 * time.Second

const (
	maxParallel = 64   // messages of one stdio client that are answered at a time
	maxQueued   = 1024 // and these that are read and not answered yet
)

// ServeStdio serves one key over lines of JSON, of either era, each message
// decided against the Service as it stands then. It ends when in does, after
// the running calls (10 s at most), or when ctx ends; a reader that then still
// blocks is closed when it can be. A token that does not count, or whose key
// may not speak MCP, is an error at once.
func (g *Gateway) ServeStdio(ctx context.Context, token keys.Secret, in io.Reader, out io.Writer) error {
	edits := g.edits.Load()
	p, err := g.svc.Authenticate(ctx, token)
	if err != nil {
		return fmt.Errorf("authenticating the key: %w", err)
	}
	if problem := g.mayConnect(ctx, p, "stdio"); problem != nil {
		return errors.New(problem.Detail)
	}
	n, err := narrowingOf(nil, "", "")
	if err != nil {
		return err
	}
	c := &stdioClient{g: g, principal: p, edits: edits, tenant: g.tenantOf(p.TenantID()),
		session: newSession(p, n, ""), out: newLineSink(out), slots: make(chan struct{}, maxParallel), queue: make(chan struct{}, maxQueued)}
	return c.serve(ctx, in)
}

// stdioClient is the one client at the other end of a pair of pipes.
type stdioClient struct {
	g         *Gateway
	principal keys.Principal
	edits     int64
	tenant    *tenant
	session   *session
	out       *lineSink

	listening sync.Once // for list_changed, from notifications/initialized on
	work      sync.WaitGroup
	slots     chan struct{}
	queue     chan struct{} // of those with a slot, and those that wait for one
}

func (c *stdioClient) serve(ctx context.Context, in io.Reader) error {
	ctx, stop := context.WithCancel(ctx)
	lines := readLines(ctx, in, c.g.cfg.MaxBody)
	defer c.out.endWith(ctx)()
	defer c.work.Wait()
	defer c.session.cancel()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			if closer, ok := in.(io.Closer); ok {
				_ = closer.Close()
			}
			return nil
		case l, ok := <-lines:
			if !ok || l.err != nil {
				c.drain(ctx)
				return l.err
			}
			c.take(ctx, l)
		}
	}
}

// drain gives running calls time to finish. Nobody is there to be asked.
func (c *stdioClient) drain(ctx context.Context) {
	c.session.inquiries.end()
	deadline := time.NewTimer(stdioPatience)
	defer deadline.Stop()
	for range maxQueued {
		select {
		case c.queue <- struct{}{}:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
	c.out.drain(deadline.C)
}

func (c *stdioClient) take(ctx context.Context, l line) {
	if l.tooLong {
		c.answer(failure(nil, mcpgo.INVALID_REQUEST, "the message is larger than this server takes", nil), nil)
		return
	}
	m, err := readMessage(l.text)
	var bad *envelopeError
	if errors.As(err, &bad) {
		c.answer(failure(bad.id, bad.code, bad.problem, nil), nil)
		return
	}
	r := &request{msg: m, era: eraLegacy, edits: c.edits, principal: c.principal, tenant: c.tenant,
		session: c.session, sink: c.out, narrowing: c.session.narrowing}
	if m.isResponse() {
		_ = c.g.answered(ctx, r) // nobody waits to hear of it
		return
	}
	if mcpgo.IsModernProtocol(m.version) {
		r.era = eraModern
		r.client = clientName(rawjson.Field(m.meta, mcpgo.MetaKeyClientInfo))
		if refused := checkModern(m, nil); refused != nil {
			c.answer(*refused, m)
			return
		}
	} else {
		if m.method == string(mcpgo.MethodInitialize) {
			c.session.setClient(clientName(rawjson.Field(m.params, "clientInfo")))
			c.session.declare(m)
		}
		r.client = c.session.clientName()
	}
	c.run(ctx, r)
}

// run answers what may take long beside the next messages, and the rest, whose
// order counts, at once.
func (c *stdioClient) run(ctx context.Context, r *request) {
	switch methods[r.msg.method].class {
	case classListen: // held as long as the client likes, so it takes no slot
		ctx, done, ok := c.track(ctx, r)
		if !ok {
			return
		}
		c.work.Go(func() {
			answer := c.g.dispatch(ctx, r)
			done() // before the client can use its id again
			c.answer(answer, r.msg)
		})
	case classCall, classList, classTask:
		ctx, done, ok := c.track(ctx, r)
		if !ok {
			return
		}
		// Reading goes on while calls wait: they may wait for what is read.
		select {
		case c.queue <- struct{}{}:
		default:
			done()
			c.answer(failure(r.msg.id, codeRateLimited, limitReached(maxQueued, "requests waiting"), retryData()), r.msg)
			return
		}
		c.work.Go(func() {
			defer func() { <-c.queue }()
			select {
			case c.slots <- struct{}{}:
			case <-ctx.Done():
				done()
				return
			}
			defer func() { <-c.slots }()
			defer r.answered()
			answer := c.g.dispatch(ctx, r)
			done() // before the client can use its id again
			c.answer(answer, r.msg)
		})
	default:
		c.answer(c.g.dispatch(ctx, r), r.msg)
		if r.msg.method == "notifications/initialized" {
			c.listening.Do(func() { c.work.Go(func() { c.listen(r) }) })
		}
	}
}

// track makes a request cancelable before the next message is read; one whose
// id is running already it has refused.
func (c *stdioClient) track(ctx context.Context, r *request) (_ context.Context, done func(), ok bool) {
	if !r.msg.isRequest() {
		return ctx, func() {}, true // nothing can name it
	}
	ctx, done, ok = c.session.track(ctx, r)
	if r.tracked = ok; !ok {
		c.answer(idRunning(r), r.msg)
	}
	return ctx, done, ok
}

// listen tells a legacy client when its tools change.
func (c *stdioClient) listen(r *request) {
	st, done, ok := c.g.openStream(c.session.ctx, r, c.session.listed.load())
	if !ok {
		return // it still lists what it may see, whenever it asks
	}
	defer done()
	c.g.pump(st, c.out, wants{groups: everyGroup}, nil)
}

func (c *stdioClient) answer(r reply, m *message) {
	if m != nil && !m.isRequest() {
		return
	}
	if m == nil {
		m = &message{}
	}
	if body := r.asMessage(m.id); body != nil {
		_ = c.out.send(body) // a client that is gone ends the input too
	}
}

type line struct {
	text    []byte
	tooLong bool
	err     error
}

// readLines hands over the lines of in, without empty ones, until it ends.
func readLines(ctx context.Context, in io.Reader, most int64) <-chan line {
	out := make(chan line)
	go func() {
		defer close(out)
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			l, more := nextLine(r, most)
			if len(l.text) == 0 && !l.tooLong && l.err == nil {
				if !more {
					return
				}
				continue
			}
			select {
			case out <- l:
			case <-ctx.Done():
				return
			}
			if !more {
				return
			}
		}
	}()
	return out
}

func nextLine(r *bufio.Reader, most int64) (l line, more bool) {
	for {
		part, err := r.ReadSlice('\n')
		if int64(len(l.text)+len(part)) > most {
			l.text, l.tooLong = nil, true
		}
		if !l.tooLong {
			l.text = append(l.text, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			l.text = trimLine(l.text)
			return l, false
		case err != nil:
			return line{err: fmt.Errorf("reading messages: %w", err)}, false
		}
		l.text = trimLine(l.text)
		return l, true
	}
}

func trimLine(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}
