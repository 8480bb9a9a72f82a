package mcp_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

var (
	stateKey = bytes.Repeat([]byte{7}, 32)
	stateNow = time.UnixMilli(1_800_000_000_000)
)

func TestRequestState(t *testing.T) {
	sealed := mcp.SealState(stateKey, "r", "text", stateNow.Add(time.Hour))
	if strings.Contains(sealed, "text") || strings.Contains(sealed, base64.RawURLEncoding.EncodeToString([]byte("text"))) {
		t.Errorf("readable: %s", sealed)
	}
	if again := mcp.SealState(stateKey, "r", "text", stateNow.Add(time.Hour)); again == sealed {
		t.Error("two states of one text are one")
	}
	for _, c := range []struct {
		name    string
		key     []byte
		request string
		sealed  string
		now     time.Time
		ok      bool
	}{
		{"as it was made", stateKey, "r", sealed, stateNow, true},
		{"just before its time is over", stateKey, "r", sealed, stateNow.Add(time.Hour - time.Millisecond), true},
		{"when its time is over", stateKey, "r", sealed, stateNow.Add(time.Hour), false},
		{"another request", stateKey, "s", sealed, stateNow, false},
		{"another key", bytes.Repeat([]byte{8}, 32), "r", sealed, stateNow, false},
		{"more", stateKey, "r", sealed + "-TAMPERED", stateNow, false},
		{"a line break more", stateKey, "r", sealed + "\n", stateNow, false},
		{"less", stateKey, "r", sealed[:len(sealed)-2], stateNow, false},
		{"nothing", stateKey, "r", "", stateNow, false},
		{"another first byte", stateKey, "r", "B" + sealed[1:], stateNow, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, ok := mcp.OpenState(c.key, c.request, c.sealed, c.now)
			if ok != c.ok || ok && text != "text" {
				t.Errorf("opened %v as %q", ok, text)
			}
		})
	}
	for i := range len(sealed) {
		changed := sealed[:i] + flip(sealed[i]) + sealed[i+1:]
		if _, ok := mcp.OpenState(stateKey, "r", changed, stateNow); ok {
			t.Errorf("opened with character %d changed", i)
		}
	}
}

// sealedState was sealed under stateKey for the request r.
const sealedState = "AahZMH-I7ktlLVVqy6OCqG5-bNJg60zTPuf8NP3xF3m_9HPV62VD8SiXCwaKeKAFF9c"

// FuzzRequestState: nothing opens but what was sealed for this request. That
// was sealed once for all, for each of the fuzzer's processes comes here.
func FuzzRequestState(f *testing.F) {
	sealed := sealedState
	if _, ok := mcp.OpenState(stateKey, "r", sealed, stateNow); !ok {
		f.Fatal("the state does not open")
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(sealed), true)
	f.Add(raw, false)
	f.Add([]byte(mcp.SealState(stateKey, "s", "text", stateNow.Add(time.Hour))), true)
	f.Add([]byte{1}, false)
	f.Add([]byte(""), true)
	f.Fuzz(func(t *testing.T, body []byte, asText bool) {
		text := string(body)
		if !asText {
			text = base64.RawURLEncoding.EncodeToString(body)
		}
		if got, ok := mcp.OpenState(stateKey, "r", text, stateNow); ok && (text != sealed || got != "text") {
			t.Fatalf("opened %q as %q", text, got)
		}
	})
}
