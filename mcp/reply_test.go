package mcp_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// What is built in one copy is what is built in three.
func TestCompleteResult(t *testing.T) {
	for _, raw := range []string{`{}`, `{ }`, `{"a":1}`, `{ "a" : [1] }`, `{"content":[{"type":"text","text":"{}"}],"isError":true}`} {
		got, want := mcp.CompleteResult([]byte(`"i"`), []byte(raw), []byte(`{"name":"x"}`))
		if got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
