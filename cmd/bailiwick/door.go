package main

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

const (
	bodyLimit   = 30 * time.Second
	answerLimit = time.Minute
)

var mcpPaths = []string{"/mcp", "/mcp/{instance}", "/sse", "/message"}

// routes is everything that is served. What every request is held to comes
// before the choice of who answers it: a mux of its own would redirect.
func (f *serveFlags) routes(gateway *mcp.Gateway, api http.Handler, m *metricSet) http.Handler {
	mux := http.NewServeMux()
	for _, path := range mcpPaths {
		mux.Handle(path, gateway.Handler())
	}
	if f.metricsAddr == "" {
		mux.Handle(metricsPath, onlyHere(m.handler()))
	}
	mux.Handle("/", api)
	challenge := f.oidc.tell(f.publicURL, mux)
	timed := timedBodies(cmp.Or(f.bodyLimit, bodyLimit), admitted(gateway, challenge(rest.Exact(mux))))
	return timedAnswers(cmp.Or(f.answerLimit, answerLimit), timed)
}

// timedAnswers gives every answer a time to be taken in, for who never reads
// would hold it for good: the server has no write timeout, which would end
// streams. Streams and calls set their own time with each thing they write.
func timedAnswers(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)); err != nil {
			panic(err) // a server that can't do it must not be run
		}
		next.ServeHTTP(w, r)
	})
}

// admitted lets only requests through whose Host and Origin may be. Who asks
// whether the server lives reaches it by any name, and learns nothing else.
func admitted(gateway *mcp.Gateway, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := r.URL.Path; path != "/livez" && path != "/readyz" {
			if p := gateway.Refusal(r); p != nil {
				rest.Refuse(w, r, *p)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBodies gives every body a time to arrive in: the server has no read
// timeout, which would end streams. A body that was not read to its end keeps
// the deadline and closes the connection, for the rest of it may never come.
func timedBodies(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			control := http.NewResponseController(w)
			if err := control.SetReadDeadline(time.Now().Add(limit)); err != nil {
				panic(err) // a server that can't do it must not be run
			}
			// In HTTP/2 a stream's end is not the connection's.
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close")
			}
			r.Body = &timedBody{ReadCloser: r.Body, arrived: func() {
				_ = control.SetReadDeadline(time.Time{})
				w.Header().Del("Connection")
			}}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody tells once that it has arrived as a whole.
type timedBody struct {
	io.ReadCloser
	arrived func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && b.arrived != nil {
		b.arrived()
		b.arrived = nil
	}
	return n, err
}
