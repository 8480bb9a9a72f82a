package mcp_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestSpellingsOfURIs: what a policy denies is not to be had by another spelling
// of its uri, which a server may take for the same.
func TestSpellingsOfURIs(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(others{resources: []string{resource("file:///pub/a%20b"), resource("file:///pub/../odd")},
		templates: []string{template("file:///{+path}")}})
	w.mount("a1", up)
	plain := newUpstream(t).with(others{resources: []string{resource("x:r")}}) // lists no template
	w.mount("b2", plain)
	pub := func(mode policy.Mode, patterns ...string) keys.Issued {
		return w.key(func(n *keys.NewKey) {
			n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(mode), keys.Some(patterns)
		})
	}
	deny := pub(policy.ModeDeny, "*/file:///sec/*", "*/file://h/sec/*")
	allow := pub(policy.ModeAllow, "*/file:///*+path*", "*/file:///pub/*")
	for _, c := range []struct {
		k       keys.Issued
		uri     string
		allowed bool
	}{
		{deny, "file:///pub/a", true},
		{deny, "file:///pub/a%20b", true},  // listed so
		{deny, "file:///pub/../odd", true}, // listed so
		{deny, "file:///pub/c%20d", true},
		{deny, "file:///pub/100%", true}, // no escape
		{deny, "file:///pub/..a/b..", true},
		{deny, "file:///pub/%C3%A9", true},
		{deny, "file:///sec/a", false},
		{deny, "file:///%73ec/a", false},
		{deny, "file:///%73%65%63%2Fa", false},
		{deny, "file:///sec%2fa", false},
		{deny, "file:///%2573ec/a", false}, // decoded twice
		{deny, "FILE:///sec/a", false},
		{deny, "File://H/sec/a", false},
		{deny, "file:///./sec/a", false},
		{deny, "file:///pub/../sec/a", false},
		{deny, "file:///pub/%2e%2E/sec/a", false},
		{deny, "file:///pub/.%2e/sec/a", false},
		{deny, `file:///pub\..\sec\a`, false},
		{deny, "file:///pub/..%5csec/a", false},
		{deny, "file:///x/..", false},
		{deny, "file:////sec/a", false},
		{deny, "file:///pub//..//sec/a", false},
		{allow, "file:///pub/a", true},
		{allow, "file:///pub/c%20d", true},
		{allow, "file:///pub/../sec/a", false},
		{allow, "file:///pub/%2e%2e/sec/a", false},
		{allow, "file:///%70ub/a", false},
		{allow, "file:///sec/a", false},
	} {
		for _, path := range []string{"/mcp/a1", "/mcp/b2"} {
			if path == "/mcp/b2" && c.k.Key.ID == deny.Key.ID && strings.HasPrefix(c.uri, "file:///pub/../odd") {
				continue // it lists no such
			}
			if path == "/mcp/b2" && c.k.Key.ID == allow.Key.ID {
				continue // it shows nothing to that key
			}
			for era, ask := range w.eras(c.k, path) {
				if a := ask("resources/read", `"uri":`+quoted(c.uri)); strings.Contains(a.body, `"contents"`) != c.allowed {
					t.Errorf("%s, %s, %s: %s", path, era, c.uri, a.body)
				}
			}
		}
	}
}

// FuzzSpellings: a uri that has spellings is the first of them, each decoding of it
// is among them, and none has dot segments.
func FuzzSpellings(f *testing.F) {
	for _, uri := range []string{"file:///%73ec/a", "x:..", "a%", "%25%32%35", `\\h\..`, ":::///", "%2e%2E/", "A://B//c:////d"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		all := mcp.Spellings(uri)
		if all == nil {
			return
		}
		if all[0] != uri {
			t.Fatalf("%q of %q", all, uri)
		}
		for _, one := range all {
			for part := range strings.SplitSeq(strings.ReplaceAll(one, `\`, "/"), "/") {
				if part == "." || part == ".." {
					t.Fatalf("%q of %q", one, uri)
				}
			}
		}
		for next, err := url.PathUnescape(uri); err == nil && next != uri; next, err = url.PathUnescape(uri) {
			if uri = next; !slices.Contains(all, uri) {
				t.Fatalf("%q is not in %q", uri, all)
			}
		}
	})
}
