package main

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

var (
	requestDuration = histogram("http_request_duration_seconds", "How long HTTP requests took, streams included, by route and class of status.", "route", "status")
	requestFamilies = []describedMetric{requestDuration}
)

const metricsPath = "/metrics"

// requestStats count HTTP requests by the routes that there are. What they
// count into is there from the start: a client can't make more of it.
type requestStats struct {
	routes map[string]*[6]keys.Durations // by pattern, then class of status
	other  *[6]keys.Durations
}

func newRequestStats() *requestStats {
	s := &requestStats{routes: map[string]*[6]keys.Durations{}, other: new([6]keys.Durations)}
	for _, path := range slices.Concat(rest.Patterns(), mcpPaths, []string{metricsPath}) {
		s.routes[path] = new([6]keys.Durations)
	}
	return s
}

func (s *requestStats) answered(pattern string, status int, took time.Duration) {
	route := s.routes[pattern]
	if route == nil {
		route = s.other
	}
	route[min(max(status/100, 0), 5)].Observe(took)
}

func (s *requestStats) samples() (out []sample) {
	add := func(name string, route *[6]keys.Durations) {
		for class := range route {
			if took := route[class].Snapshot(); took.Count > 0 {
				out = append(out, requestDuration.took(took, name, string(rune('0'+class))+"xx"))
			}
		}
	}
	for name, route := range s.routes {
		add(name, route)
	}
	add("other", s.other)
	return out
}

// onlyHere answers to this machine alone: the peer and the name that it asks
// for are loopback ones, and nothing says that the request was passed on. A
// proxy on this machine that passes on everything and says nothing of it can't
// be told: with one, the metrics belong on a listener of their own.
func onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() || !loopbackHost(r.Host) || passedOn(r.Header) {
			rest.Refuse(w, r, wire.NewProblem(http.StatusForbidden, "metrics_local",
				"metrics are answered to this machine alone; --metrics-addr gives them a listener of their own"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func passedOn(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via", "Origin"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}

func loopbackHost(host string) bool {
	name := strings.ToLower((&url.URL{Host: host}).Hostname())
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// metricsServer serves the metrics, and nothing else, on a listener of their
// own. On a loopback one a web page can't reach them under a name of its own.
func metricsServer(m *metricSet) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		wire.NewProblem(http.StatusNotFound, "not_found", "metrics are at "+metricsPath).Answer(w)
	})
	mux.HandleFunc("GET "+metricsPath, func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if r.Header.Get("Origin") != "" || (local == nil || local.IP.IsLoopback()) && !loopbackHost(r.Host) {
			wire.NewProblem(http.StatusForbidden, "host_denied", "the Host or Origin header names another server").Answer(w)
			return
		}
		m.handler().ServeHTTP(w, r)
	})
	return &http.Server{Handler: mux, ReadHeaderTimeout: headLimit, ReadTimeout: headLimit, WriteTimeout: bodyLimit,
		IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes}
}

// serveMetrics serves until the server is shut down.
func serveMetrics(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
