package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// conn is one connection, of one request at a time.
type conn struct {
	net.Conn
	t       *Transport
	raw     syscall.RawConn // nil = can't be asked
	address string
	since   time.Time // when it became idle

	in      *bufio.Reader
	out     *bufio.Writer
	left    int64 // how much more of a head may be read
	limited bool
	written bool // something of the request was sent
	read    bool // something of the answer came
}

const bufferSize = 4 << 10

func newConn(t *Transport, nc net.Conn, address string) *conn {
	c := &conn{Conn: nc, t: t, address: address}
	if sc, ok := nc.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn()
	}
	c.in, c.out = bufio.NewReaderSize(headReader{c}, bufferSize), bufio.NewWriterSize(headWriter{c}, bufferSize)
	return c
}

// headReader holds heads to their limit.
type headReader struct{ *conn }

func (r headReader) Read(b []byte) (int, error) {
	if r.limited {
		if r.left <= 0 {
			return 0, fmt.Errorf("http1: the head of the answer is longer than %d bytes", r.t.MaxHeaderBytes)
		}
		b = b[:min(int64(len(b)), r.left)]
	}
	n, err := r.Conn.Read(b)
	r.left -= int64(n)
	r.read = r.read || n > 0
	return n, err
}

// headWriter notes that something was sent.
type headWriter struct{ *conn }

func (w headWriter) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.written = w.written || n > 0
	return n, err
}

// aLongTimeAgo ends reads and writes that are under way.
var aLongTimeAgo = time.Unix(1, 0)

// send sends a request and reads the head of its answer. After an error the connection
// is closed; again says that the request may be sent on another one.
func (c *conn) send(ctx context.Context, req *http.Request) (resp *http.Response, again bool, err error) {
	c.written, c.read = false, false
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(aLongTimeAgo) })
	resp, err = c.exchange(req)
	if err != nil {
		stop()
		_ = c.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, !c.written || !c.read && repeatable(req), err
	}
	b := &body{ReadCloser: resp.Body, c: c, ctx: ctx, stop: stop, keep: !resp.Close && !req.Close}
	if resp.Body == http.NoBody {
		b.end(true)
		return resp, false, nil
	}
	resp.Body = b
	return resp, false, nil
}

// repeatable tells whether a request may be sent twice (RFC 9110, 9.2.2).
func repeatable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return req.Body == nil || req.GetBody != nil
	}
	return false
}

func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	err := req.Write(c.out)
	if err == nil {
		err = c.out.Flush()
	}
	if err != nil {
		return c.early(req, err)
	}
	return c.head(req)
}

// earlyFor is how long it is waited for the answer of a server that has stopped
// reading: it may have said why before.
const earlyFor = 50 * time.Millisecond

func (c *conn) early(req *http.Request, failed error) (*http.Response, error) {
	if !c.written || req.Context().Err() != nil {
		return nil, failed
	}
	_ = c.SetReadDeadline(time.Now().Add(earlyFor))
	resp, err := c.head(req)
	if err != nil || req.Context().Err() != nil {
		return nil, failed
	}
	resp.Close = true
	return resp, nil
}

// head reads the head of the answer, past all that only inform.
func (c *conn) head(req *http.Request) (*http.Response, error) {
	c.limited, c.left = c.t.MaxHeaderBytes > 0, c.t.MaxHeaderBytes
	defer func() { c.limited = false }()
	for range maxInforms + 1 {
		resp, err := http.ReadResponse(c.in, req)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF) && !c.read:
			return nil, io.EOF // the server closed it, and broke nothing off
		case err != nil:
			return nil, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitched
		case resp.StatusCode >= 200:
			return resp, nil
		}
	}
	return nil, errInforms
}
