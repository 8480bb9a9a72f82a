package upstream_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func TestFrames(t *testing.T) {
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`:                      "1  {} ok",
		`{"jsonrpc":"2.0","id":"x","method":"ping"}`:                `"x" ping  ok`,
		`{"jsonrpc":"2.0","method":"m","params":{}}`:                " m  ok",
		`{"jsonrpc":"2.0","id":1,"RESULT":{}}`:                      "1   broken",
		`{"jsonrpc":"2.0","id":1,"id":2,"result":{}}`:               "2  {} broken",
		`{"jsonrpc":"1.0","id":1,"result":{}}`:                      "1  {} broken",
		`{"jsonrpc":"2.0","id":1,"result":{},"re\u0073ult":{}}`:     "1  {} broken",
		`{"id":1,"result":{}}`:                                      "none",
		`[]`:                                                        "none",
		"{\"jsonrpc\":\"2.0\",\r\n\"id\":1,\"result\":{\n\"a\":1}}": `1  { "a":1} ok`,
	} {
		id, method, result, broken, err := upstream.ParseFrame([]byte(in))
		got := strings.Join([]string{id, method, string(result), map[bool]string{true: "broken", false: "ok"}[broken != nil]}, " ")
		if err != nil {
			got = "none"
		}
		if got != want {
			t.Errorf("%s: %q (%v %v), want %q", in, got, broken, err, want)
		}
	}
}
