package upstream

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// remote is where an HTTP or SSE upstream is and how it is reached. It lives
// as long as the Upstream, over all its sessions.
type remote struct {
	transport connections
	url       *url.URL
	header    http.Header    // the configured one; read-only
	work      sync.WaitGroup // streams that are read on in the background
	outbox
}

func newRemote(cfg *Config) (*remote, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("url cannot be parsed") // the error would repeat it, with what is in it
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("url must be absolute, with scheme http or https")
	}
	h := http.Header{}
	for name, value := range cfg.Headers {
		if err := checkHeader(name, value.Reveal()); err != nil {
			return nil, err
		}
		h.Set(name, value.Reveal())
	}
	if u.User != nil && h.Get("Authorization") == "" {
		password, _ := u.User.Password()
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	u.User, u.Fragment = nil, ""
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", "bailiwick")
	}
	return &remote{transport: newConnections(cfg), url: u, header: h}, nil
}

// checkHeader refuses names and values that cannot be sent, and names that are
// the transport's own.
func checkHeader(name, value string) error {
	if !isToken(name) {
		return fmt.Errorf("header %q is not a valid name", printable(name, 40))
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return fmt.Errorf("header %s has a value that cannot be sent", name)
	}
	n := strings.ToLower(name)
	switch n {
	case "host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "last-event-id", "accept-encoding":
		return fmt.Errorf("header %s cannot be configured", name)
	}
	if strings.HasPrefix(n, "mcp-") {
		return fmt.Errorf("header %s belongs to the protocol and cannot be configured", name)
	}
	return nil
}

// isToken reports whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) })
}

func (r *remote) close() {
	r.work.Wait()
	r.flush()
	r.transport.CloseIdleConnections()
}

// with is the configured header and more, as pairs; those of the protocol win.
func (r *remote) with(pairs ...string) http.Header {
	h := r.header.Clone()
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// maxRedirects is how many redirects within the same origin are followed.
const maxRedirects = 3

// do sends one request. It follows redirects that keep method, body and origin
// (a trailing slash, mostly) and returns the address that answered; any other
// redirect is an error, so that credentials never reach another host.
func (r *remote) do(ctx context.Context, method string, to *url.URL, h http.Header, body []byte) (*http.Response, *url.URL, error) {
	for range maxRedirects + 1 {
		req := (&http.Request{Method: method, URL: to, Host: to.Host, Header: h,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
		if body != nil {
			req.ContentLength = int64(len(body))
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			req.Body, _ = req.GetBody()
		}
		resp, err := r.transport.RoundTrip(req)
		if err != nil {
			return nil, nil, err
		}
		if resp.StatusCode < 300 || resp.StatusCode >= 400 {
			return resp, to, nil
		}
		_ = resp.Body.Close()
		next, err := resp.Location()
		if err != nil {
			return nil, nil, fmt.Errorf("%w: HTTP %d without a location", ErrGarbage, resp.StatusCode)
		}
		if next.Scheme != to.Scheme || next.Host != to.Host ||
			resp.StatusCode != http.StatusTemporaryRedirect && resp.StatusCode != http.StatusPermanentRedirect {
			return nil, nil, fmt.Errorf("%w: it redirects (HTTP %d) to %s, which is not followed; set the url to where it is",
				ErrDown, resp.StatusCode, printable(next.Scheme+"://"+next.Host, 80))
		}
		next.User = nil
		to = next
	}
	return nil, nil, fmt.Errorf("%w: more than %d redirects", ErrDown, maxRedirects)
}

// readAll reads a whole body of at most max bytes.
func readAll(resp *http.Response, max int64) ([]byte, error) {
	if resp.ContentLength > max {
		return nil, ErrTooLarge
	}
	if resp.ContentLength >= 0 {
		b := make([]byte, resp.ContentLength)
		_, err := io.ReadFull(resp.Body, b)
		return b, err
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Reset(); buf.Cap() <= 1<<20 {
			buffers.Put(buf)
		}
	}()
	_, err := buf.ReadFrom(io.LimitReader(resp.Body, max+1))
	if err == nil && int64(buf.Len()) > max {
		err = ErrTooLarge
	}
	return bytes.Clone(buf.Bytes()), err
}

// buffers are for answers whose length is not known before.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
