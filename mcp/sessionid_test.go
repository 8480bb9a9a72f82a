package mcp_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

var sessionKey = bytes.Repeat([]byte{9}, 32)

// TestSessionID: an id says what it was made with, to its own principal alone, and
// nothing once a character of it differs.
func TestSessionID(t *testing.T) {
	says := mcp.SessionSays{Issued: stateNow, Can: 0b10101, Client: "a client/1", Narrowing: "\x00\x01"}
	id := mcp.IssueSession(sessionKey, "tenant", "key", says)
	if again := mcp.IssueSession(sessionKey, "tenant", "key", says); again == id {
		t.Error("two sessions have one id")
	}
	for _, c := range []struct {
		name              string
		key               []byte
		tenant, principal string
		id                string
		ok                bool
	}{
		{"as it was made", sessionKey, "tenant", "key", id, true},
		{"another principal", sessionKey, "tenant", "other", id, false},
		{"another tenant", sessionKey, "other", "key", id, false},
		{"the same letters, cut otherwise", sessionKey, "tenantk", "ey", id, false},
		{"another root secret", bytes.Repeat([]byte{8}, 32), "tenant", "key", id, false},
		{"a line break more", sessionKey, "tenant", "key", id + "\n", false},
		{"less", sessionKey, "tenant", "key", id[:len(id)-1], false},
		{"no MAC", sessionKey, "tenant", "key", id[:strings.IndexByte(id, '.')], false},
		{"an empty MAC", sessionKey, "tenant", "key", id[:strings.IndexByte(id, '.')+1], false},
		{"nothing", sessionKey, "tenant", "key", "", false},
		{"very much", sessionKey, "tenant", "key", strings.Repeat("A", 60<<10) + "." + strings.Repeat("A", 32), false},
	} {
		got, ok := mcp.ReadSession(c.key, c.tenant, c.principal, c.id)
		if ok != c.ok || ok && (got.Issued.UnixMilli() != says.Issued.UnixMilli() || got.Can != says.Can ||
			got.Client != says.Client || got.Narrowing != says.Narrowing || got.Bound) {
			t.Errorf("%s: %v %+v", c.name, ok, got)
		}
	}
	for i := range len(id) {
		for bit := range 8 {
			changed := []byte(id)
			changed[i] ^= 1 << bit
			if _, ok := mcp.ReadSession(sessionKey, "tenant", "key", string(changed)); ok {
				t.Fatalf("read with bit %d of character %d changed", bit, i)
			}
		}
	}
}

// TestSessionIDSize: an id is visible ASCII (2025-11-25, transports) and never longer
// than is said; what does not fit binds the session to its process, and no part of
// it is said.
func TestSessionIDSize(t *testing.T) {
	bound := 0
	for size := range 1200 {
		id := mcp.IssueSession(sessionKey, "t", "k", mcp.SessionSays{Issued: stateNow, Client: "c", Narrowing: strings.Repeat("é", size)})
		if len(id) > mcp.MaxSessionID {
			t.Fatalf("%d characters", len(id))
		}
		if strings.ContainsFunc(id, func(r rune) bool { return r < 0x21 || r > 0x7E }) {
			t.Fatalf("not visible ASCII: %q", id)
		}
		got, ok := mcp.ReadSession(sessionKey, "t", "k", id)
		switch {
		case !ok:
			t.Fatalf("%d: not read", size)
		case got.Bound:
			bound++
			if got.Narrowing != "" || got.Client != "" {
				t.Errorf("%d: a bound one says %+v", size, got)
			}
		case bound > 0:
			t.Errorf("%d fits, though less did not", size)
		case got.Narrowing != strings.Repeat("é", size):
			t.Errorf("%d: says %d bytes", size, len(got.Narrowing))
		}
	}
	if bound == 0 || bound > 1000 {
		t.Errorf("%d of 1200 are bound", bound)
	}
}

// TestNarrowingAgain: a narrowing that went through an id is the same.
func TestNarrowingAgain(t *testing.T) {
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a1", "a1,b2", "read_*", "a1/*", "*", "@edit", "true", "false", "TRUE ", "é", "\x00", "a b", "a%2Fb", "\xff"}), 0, 3)
		header, query := http.Header{}, url.Values{}
		for _, name := range []string{"X-MCP-Tools", "X-MCP-Exclude-Tools", "X-MCP-Toolsets", "X-MCP-Readonly"} {
			for _, v := range words.Draw(t, name) {
				header.Add(name, v)
			}
		}
		for _, name := range []string{"instances", "categories", "readonly", "other"} {
			if list := words.Draw(t, name); len(list) > 0 {
				query[name] = list
			}
		}
		path := rapid.SampledFrom([]string{"", "a1"}).Draw(t, "path")
		same, source, err := mcp.NarrowAgain(header, query.Encode(), path)
		if err != nil {
			return // refused at once: there is no session
		}
		read++
		if !same {
			t.Fatalf("another narrowing comes of %q", source)
		}
	})
	if read == 0 {
		t.Error("none could be read")
	}
}

// FuzzSessionID: nothing is read but what was made, and content is read in one way
// only.
func FuzzSessionID(f *testing.F) {
	source := "\x00\x01\x02a1\x00\x00\x00\x00\x00\x00"
	for _, says := range []mcp.SessionSays{{Issued: stateNow}, {Issued: stateNow, Can: 31, Client: "c/1", Narrowing: source}, {Issued: stateNow, Bound: true}} {
		id := mcp.IssueSession(sessionKey, "t", "k", says)
		content, err := base64.RawURLEncoding.DecodeString(id[:strings.IndexByte(id, '.')])
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(mcp.IssueSession(bytes.Repeat([]byte{8}, 32), "t", "k", says)))
		f.Add(content)
	}
	f.Add([]byte(source))
	f.Add([]byte(""))
	f.Add([]byte("."))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, ok := mcp.ReadSession(sessionKey, "t", "k", string(body)); ok {
			t.Fatalf("read %q as %+v", body, got)
		}
		if again, ok := mcp.ReparseSession(body); ok && !bytes.Equal(again, body) {
			t.Fatalf("%q is written %q", body, again)
		}
		if own, err := mcp.NarrowFrom(string(body)); err == nil && len(body) > 0 && own != string(body) {
			t.Fatalf("the source %q is written %q", body, own)
		}
	})
}
