package upstream

import (
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Public is public, for an address as text.
func Public(s string) bool { return public(netip.MustParseAddr(s)) }

// ParseFrame reports what parseFrame finds, and what is broken.
func ParseFrame(b []byte) (id, method string, result []byte, broken, err error) {
	f, err := parseFrame(b)
	return string(f.id), f.method, f.result, f.broken, err
}

// Waits is the first n waits of a back-off whose attempts held for lived.
func Waits(n int, random float64, lived time.Duration) (out []time.Duration) {
	var b backoff
	for range n {
		out = append(out, b.wait(lived, random))
	}
	return out
}

// Problem is an error as an upstream's status shows it.
func Problem(u *Upstream, err error) string { return u.problem(err) }

// Broken is broken.
func Broken(err error) error { return broken(err) }

// NewWires is a pool of connections of our own.
func NewWires() interface {
	http.RoundTripper
	CloseIdleConnections()
} {
	return &wires{dial: new(net.Dialer).DialContext}
}
