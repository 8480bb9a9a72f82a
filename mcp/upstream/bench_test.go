package upstream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// benchWeb answers every call with a text of this size.
func benchWeb(b *testing.B, size int) string {
	text := strings.Repeat(`line \"quoted\" é `, size/18)
	h := legacyWeb("s", named("a"))
	h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		answer(w, 200, m, `"result":{"content":[{"type":"text","text":"`+text+`"}]}`)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m message
		body, _ := io.ReadAll(r.Body)
		if _ = json.Unmarshal(body, &m); h[m.Method] == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h[m.Method](w, r, m)
	}))
	b.Cleanup(s.Close)
	return s.URL + "/mcp"
}

func benchMount(b *testing.B, cfg upstream.Config) *upstream.Upstream {
	ready := make(chan struct{}, 1)
	cfg.Name = "bench"
	cfg.OnStatus = func(st upstream.Status) {
		if st.State == upstream.StateReady {
			ready <- struct{}{}
		}
	}
	u, err := upstream.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = u.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	<-ready
	return u
}

var sizes = map[string]int{"small": 36, "18KB": 18 << 10}

// BenchmarkCall is one relayed call over HTTP; BenchmarkReverseProxy is what
// the standard library needs to pass the same bytes on without reading them,
// and includes a client's own half of the exchange (BenchmarkClient alone).
func BenchmarkCall(b *testing.B) {
	for name, size := range sizes {
		b.Run(name, func(b *testing.B) {
			u := benchMount(b, upstream.Config{Transport: keys.TransportHTTP, URL: benchWeb(b, size), AllowPrivate: true})
			call := upstream.Call{Tool: "a", Arguments: raw(`{"text":"hello"}`)}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if r, err := u.Call(context.Background(), call); err != nil || r.Error != nil {
						b.Error(r.Error, err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkClient(b *testing.B) {
	for name, size := range sizes {
		b.Run(name, func(b *testing.B) { post(b, benchWeb(b, size)) })
	}
}

func BenchmarkReverseProxy(b *testing.B) {
	for name, size := range sizes {
		b.Run(name, func(b *testing.B) {
			to, _ := url.Parse(benchWeb(b, size))
			proxy := &httputil.ReverseProxy{Transport: &http.Transport{MaxIdleConnsPerHost: 256},
				Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
			s := httptest.NewServer(proxy)
			b.Cleanup(s.Close)
			post(b, s.URL)
		})
	}
}

func post(b *testing.B, to string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	b.Cleanup(client.CloseIdleConnections)
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"text":"hello"}}}`)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(to, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}

func BenchmarkCallStdio(b *testing.B) {
	u := benchMount(b, stdio(b, "misbehave"))
	call := upstream.Call{Tool: "x", Arguments: raw(`{"text":"hello"}`)}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := u.Call(context.Background(), call); err != nil || r.Error != nil {
				b.Error(r.Error, err)
				return
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	answer := []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"` + strings.Repeat(`line \"quoted\" é `, 1000) + `"}]}}`)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, _, err := upstream.ParseFrame(answer); err != nil {
			b.Fatal(err)
		}
	}
}
