package keys_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestCanonicalJSON(t *testing.T) {
	for raw, want := range map[string]string{
		``: "", `null`: "", ` {"b":1, "a":[1.50, 1e2, -0] } `: `{"a":[1.5,100,0],"b":1}`,
		`12345678901234567890`: `"12345678901234567890"`, `9007199254740993`: `"9007199254740993"`, `9007199254740992`: `9007199254740992`,
		`1e400`: `"1e400"`, `1e-400`: `"1e-400"`, `0e999999999999999999999`: `0`, `0.1`: `0.1`, `0.10000000000000000001`: `"0.10000000000000000001"`,
		`1E21`: `1e+21`, `1000000000000000000000`: `1e+21`, `"\u003c\u0000\ud800\/"`: "\"<\ufffd\ufffd/\"", `{"a":1,"a":2}`: `{"a":2}`,
		"\"\u20ac\u2028\"": "\"\u20ac\u2028\"", `{"` + "\U0001f600" + `":1,"` + "\ufb33" + `":2}`: `{"` + "\U0001f600" + `":1,"` + "\ufb33" + `":2}`,
	} {
		if got, err := keys.CanonicalJSON(json.RawMessage(raw)); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", raw, got, err, want)
		}
	}
	if _, err := keys.CanonicalJSON(json.RawMessage(`{"a":`)); err == nil {
		t.Error("half of an object passed")
	}
}

// FuzzCanonicalJSON: what is canonical stays as it is.
func FuzzCanonicalJSON(f *testing.F) {
	for _, seed := range []string{`{"b":1.50,"a":[1e400,-0,"\ud800"]}`, `9007199254740993`, `"\u0000"`, `null`, `{"a":`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := keys.CanonicalJSON(raw)
		if err != nil {
			return
		}
		twice, err := keys.CanonicalJSON(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q: %q, then %q, %v", raw, once, twice, err)
		}
	})
}

// FuzzAuditHash: a text that moves from one field to the next, or from one rule
// to the next, gives another hash.
func FuzzAuditHash(f *testing.F) {
	f.Add("a", "b")
	f.Add("", "1:a,")
	f.Add("1:a,", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		fields, rules := map[string][]string{}, map[string][]string{}
		for _, split := range [][]string{{one, two}, {one + two, ""}, {"", one + two}, {two, one}} {
			for e, seen := range map[*keys.AuditEntry]map[string][]string{
				{Action: split[0], Actor: split[1]}: fields, {Failed: split}: rules,
			} {
				hash := keys.AuditHash("", e)
				if other, there := seen[hash]; there && (other[0] != split[0] || other[1] != split[1]) {
					t.Errorf("%q and %q have one hash", other, split)
				}
				seen[hash] = split
			}
		}
	})
}
