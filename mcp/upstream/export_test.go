package upstream

import (
	"encoding/json"
	"net/netip"
	"time"
)

// Public is public, for an address as text.
func Public(s string) bool { return public(netip.MustParseAddr(s)) }

// Members is members.
func Members(b []byte, visit func(key string, value []byte) error) error { return members(b, visit) }

// Elements is elements.
func Elements(b []byte, visit func(value []byte) error) error { return elements(b, visit) }

// Edit is edit.
func Edit(b []byte, change func(key string, value []byte) []byte) (json.RawMessage, error) {
	return edit(b, change)
}

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
