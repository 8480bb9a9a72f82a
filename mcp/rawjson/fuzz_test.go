package rawjson_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

func TestFuzzTargetHasSeeds(t *testing.T) {
	seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzScan", "*"))
	if err != nil || len(seeds) < 40 {
		t.Errorf("FuzzScan has %d seeds (%v)", len(seeds), err)
	}
}

// FuzzScan holds what is read and spliced against encoding/json.
func FuzzScan(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		trimmed := bytes.Trim(b, " \t\r\n")
		want := json.Valid(b)
		checkValue(t, b, trimmed, want)
		if len(trimmed) > 0 && trimmed[0] == '[' {
			checkElements(t, b, want)
			return
		}
		object := len(trimmed) > 0 && trimmed[0] == '{'
		got := map[string]string{}
		err := rawjson.Members(b, func(k string, v []byte) error { got[k] = string(v); return nil })
		if (err == nil) != (want && object) {
			t.Fatalf("%.100q: %v, valid %v", b, err, want)
		}
		list, listErr := rawjson.List(b)
		if (err == nil) != (listErr == nil) || err != nil && (list != nil || rawjson.Field(b, "a") != nil) {
			t.Fatalf("%.100q: %v, listed %v %v", b, err, list, listErr)
		}
		if err != nil {
			return
		}
		var ref map[string]json.RawMessage
		if json.Unmarshal(b, &ref) != nil || len(ref) > len(got) {
			t.Fatalf("%.100q: %d members, want %d", b, len(got), len(ref))
		}
		for k, v := range ref {
			if field := rawjson.Field(b, k); plain(k) && (got[k] != string(v) || !bytes.Equal(field, v) || cap(field) != len(field)) {
				t.Fatalf("%.100q: %q is %s and %s, want %s", b, k, got[k], field, v)
			}
		}
		checkListAndOf(t, b, list)
		checkEdit(t, b)
		checkSplices(t, b, list)
	})
}

func checkElements(t *testing.T, b []byte, want bool) {
	t.Helper()
	var got []json.RawMessage
	err := rawjson.Elements(b, func(v []byte) error { got = append(got, v); return nil })
	if (err == nil) != want {
		t.Fatalf("%.100q: %v, valid %v", b, err, want)
	}
	var ref []json.RawMessage
	if want && (json.Unmarshal(b, &ref) != nil || len(ref) != len(got)) {
		t.Fatalf("%.100q: %d elements, want %d", b, len(got), len(ref))
	}
	for i, v := range ref {
		if !bytes.Equal(got[i], v) || cap(got[i]) != len(got[i]) {
			t.Fatalf("%.100q: element %d is %s, want %s", b, i, got[i], v)
		}
	}
}

// checkValue holds what is said of any text.
func checkValue(t *testing.T, b, trimmed []byte, valid bool) {
	t.Helper()
	object := len(trimmed) > 0 && trimmed[0] == '{'
	if rawjson.Valid(b) != valid || rawjson.IsObject(b) != object || rawjson.ValidObject(b) != (valid && object) {
		t.Fatalf("%.100q: valid %v, want %v", b, rawjson.Valid(b), valid)
	}
	depth := depthOf(b)
	if rawjson.TooDeep(b, depth) == valid || !rawjson.TooDeep(b, depth-1) && depth > 0 {
		t.Fatalf("%.100q: not %d deep, valid %v", b, depth, valid)
	}
	var text string
	if json.Unmarshal(b, &text) != nil || len(b) != len(trimmed) {
		text = ""
	}
	if got := rawjson.Text(b); plain(text) && got != text {
		t.Fatalf("%.100q: text %q, want %q", b, got, text)
	}
	flat := bytes.Clone(b)
	rawjson.Flatten(flat)
	var was, is bytes.Buffer
	if bytes.ContainsAny(flat, "\r\n") || valid && (json.Compact(&was, b) != nil || json.Compact(&is, flat) != nil || was.String() != is.String()) {
		t.Fatalf("%.100q: flattened %.100q", b, flat)
	}
}

// One pass finds what two find, in each member that has the first one's name.
func checkListAndOf(t *testing.T, b []byte, list []rawjson.Member) {
	t.Helper()
	if len(list) == 0 {
		return
	}
	key := list[0].Key
	got, of, err := rawjson.AppendListAndOf(nil, nil, b, key)
	var want []rawjson.Member
	for _, same := range list {
		if inner, err := rawjson.List(same.Value); err == nil && same.Key == key {
			want = append(want, inner...)
		}
	}
	if err != nil || !reflect.DeepEqual(got, list) || len(of)+len(want) > 0 && !reflect.DeepEqual(of, want) {
		t.Fatalf("%.100q: %v of %q %v, want %v of it %v, %v", b, got, key, of, list, want, err)
	}
}

// Leaving out every second member leaves valid JSON with the others.
func checkEdit(t *testing.T, b []byte) {
	t.Helper()
	i, kept := 0, 0
	edited, err := rawjson.Edit(b, func(_ string, v []byte) []byte {
		if i++; i%2 == 0 {
			return nil
		}
		kept++
		return v
	})
	left := 0
	if err == nil {
		err = rawjson.Members(edited, func(string, []byte) error { left++; return nil })
	}
	if err != nil || left != kept {
		t.Fatalf("%.100q edited: %.100q, %v", b, edited, err)
	}
}

// One more member, or another value of one, leaves the others as they are.
func checkSplices(t *testing.T, b []byte, list []rawjson.Member) {
	t.Helper()
	const key, value = "new \"key\"\n<é>", `[1, {}]`
	more, err := rawjson.List(rawjson.Prepend(b, key, []byte(value)))
	if err != nil || len(more) != len(list)+1 || more[0].Key != key || string(more[0].Value) != value {
		t.Fatalf("%.100q with one more: %v, %v", b, more, err)
	}
	for at, m := range list {
		if more[at+1].Key != m.Key || !bytes.Equal(more[at+1].Value, m.Value) || cap(m.Value) != len(m.Value) {
			t.Fatalf("%.100q with one more: %v, was %v", b, more, list)
		}
		if at > 3 { // enough, and the time stays linear
			continue
		}
		if same := rawjson.Replace(b, m, m.Value); !bytes.Equal(same, b) {
			t.Fatalf("%.100q with the same value: %.100q", b, same)
		}
		other, err := rawjson.List(rawjson.Replace(b, m, []byte(value)))
		if err != nil || len(other) != len(list) || other[at].Key != m.Key || string(other[at].Value) != value {
			t.Fatalf("%.100q with another value: %v, %v", b, other, err)
		}
	}
}

// plain reports whether encoding/json decodes a key without mending it.
func plain(s string) bool { return !strings.ContainsRune(s, '\uFFFD') }

// depthOf is how deep valid JSON nests.
func depthOf(b []byte) (most int) {
	dec, depth := json.NewDecoder(bytes.NewReader(b)), 0
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			most = max(most, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
