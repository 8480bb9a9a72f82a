package upstream_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

var texts = []string{
	`{}`, `[]`, `{"a":1}`, ` { "a" : [ 1 , -0.5e+10 , true , false , null , "x\u00e9\n\"\\" ] , "b" : { } } `, `{"a":1,"a":2}`,
	`{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":-}`, `{"a":+1}`, `{"a":"\x"}`,
	`{"a":"\u12g4"}`, "{\"a\":\"\n\"}", `{"a":"`, `{"a":1`, `{"a":1}}`, `{"a":1}x`, `{"a":tru}`, `{"a":nulll}`, `[1,]`, `[,1]`, `[1 2]`, `["a"`,
	`{"\u0061\/":"b"}`, `{"a":[[[[{"b":[{}]}]]]]}`, ``, `   `, `1`, `"x"`, `{"a":"\ud800"}`,
	`{"a":"0123456789012345\"678\\90123é456789\n0123456"}`, "{\"a\":\"0123456789\x1f01234567890\"}",
	"\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", `{"a" 1}`, `{1:2}`,
}

func FuzzScan(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		trimmed := bytes.Trim(b, " \t\r\n")
		want := json.Valid(b)
		if len(trimmed) > 0 && trimmed[0] == '[' {
			var got []json.RawMessage
			err := upstream.Elements(b, func(v []byte) error { got = append(got, v); return nil })
			if (err == nil) != want {
				t.Fatalf("%.100q: %v, valid %v", b, err, want)
			}
			var ref []json.RawMessage
			if want && (json.Unmarshal(b, &ref) != nil || len(ref) != len(got)) {
				t.Fatalf("%.100q: %d elements, want %d", b, len(got), len(ref))
			}
			return
		}
		object := len(trimmed) > 0 && trimmed[0] == '{'
		got := map[string]string{}
		err := upstream.Members(b, func(k string, v []byte) error { got[k] = string(v); return nil })
		if (err == nil) != (want && object) {
			t.Fatalf("%.100q: %v, valid %v", b, err, want)
		}
		if err != nil {
			return
		}
		var ref map[string]json.RawMessage
		if json.Unmarshal(b, &ref) != nil || len(ref) > len(got) {
			t.Fatalf("%.100q: %d members, want %d", b, len(got), len(ref))
		}
		for k, v := range ref {
			if plain(k) && got[k] != string(v) {
				t.Fatalf("%.100q: %q is %s, want %s", b, k, got[k], v)
			}
		}
		// Leaving out every second member leaves valid JSON with the others.
		i, kept := 0, 0
		edited, err := upstream.Edit(b, func(_ string, v []byte) []byte {
			if i++; i%2 == 0 {
				return nil
			}
			kept++
			return v
		})
		left := 0
		if err == nil {
			err = upstream.Members(edited, func(string, []byte) error { left++; return nil })
		}
		if err != nil || left != kept {
			t.Fatalf("%.100q edited: %.100q, %v", b, edited, err)
		}
	})
}

// plain reports whether encoding/json decodes a key without mending it.
func plain(s string) bool { return !strings.ContainsRune(s, '\uFFFD') }

func TestDepth(t *testing.T) {
	nested := func(depth int) []byte { return []byte(strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth)) }
	for _, depth := range []int{1, 9_999, 10_000, 10_001, 5_000_000} {
		err := upstream.Elements(nested(depth), func([]byte) error { return nil })
		if want := json.Valid(nested(depth)); (err == nil) != want {
			t.Errorf("depth %d: %v, valid %v", depth, err, want)
		}
	}
}

func TestEdit(t *testing.T) {
	drop := func(keys string) func(string, []byte) []byte {
		return func(k string, v []byte) []byte {
			if strings.Contains(keys, k) {
				return nil
			}
			return v
		}
	}
	for _, tt := range []struct{ in, keys, want string }{
		{`{"a":1,"b":2,"c":3}`, "", `{"a":1,"b":2,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "a", `{"b":2,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "b", `{"a":1,"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "c", `{"a":1,"b":2}`},
		{`{"a":1,"b":2,"c":3}`, "ab", `{"c":3}`},
		{`{"a":1,"b":2,"c":3}`, "bc", `{"a":1}`},
		{`{"a":1,"b":2,"c":3}`, "ac", `{"b":2}`},
		{`{"a":1,"b":2,"c":3}`, "abc", `{}`},
		{` { "a" : 1 , "b" : 2 , "c" : 3 } `, "b", ` { "a" : 1 , "c" : 3 } `},
		{`{}`, "a", `{}`},
	} {
		got, err := upstream.Edit([]byte(tt.in), drop(tt.keys))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s without %q: %s %v, want %s", tt.in, tt.keys, got, err, tt.want)
		}
	}
}

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

func TestBackoff(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, d := range n {
			out = append(out, time.Duration(d)*time.Millisecond)
		}
		return out
	}
	for name, tt := range map[string]struct{ got, want []time.Duration }{
		"shortest": {upstream.Waits(11, 0, 0), ms(50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000)},
		"half":     {upstream.Waits(3, 0.5, 9*time.Second), ms(75, 150, 300)},
		"stable":   {upstream.Waits(3, 0, 10*time.Second), ms(50, 50, 50)},
	} {
		for i := range tt.want {
			if tt.got[i] != tt.want[i] {
				t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
				break
			}
		}
	}
	if errors.Is(upstream.ErrDown, upstream.ErrGarbage) {
		t.Error("the errors are one")
	}
}
