package rawjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

func TestDepth(t *testing.T) {
	nested := func(depth int, inner string) []byte {
		return []byte(strings.Repeat(`[`, depth) + inner + strings.Repeat(`]`, depth))
	}
	for _, depth := range []int{1, 9_999, 10_000, 10_001, 5_000_000} {
		for _, inner := range []string{``, `1`, `"x"`} {
			text := nested(depth, inner)
			err := rawjson.Elements(text, func([]byte) error { return nil })
			if want := json.Valid(text); (err == nil) != want || rawjson.Valid(text) != want {
				t.Errorf("depth %d around %q: %v, valid %v, want %v", depth, inner, err, rawjson.Valid(text), want)
			}
		}
	}
	for _, limit := range []int{0, 1, 2, 128, 9_999, 10_000, 20_000} {
		for _, depth := range []int{max(limit-1, 0), limit, limit + 1} {
			if got, want := rawjson.TooDeep(nested(depth, `1`), limit), depth > limit || depth > 10_000; got != want {
				t.Errorf("depth %d, limit %d: too deep %v, want %v", depth, limit, got, want)
			}
		}
	}
}

func TestField(t *testing.T) {
	const object = ` { "a" : 1 , "b":{"c":[2]}, "\u0063":" x ", "k":1,"K":2,"k":3, "":null } `
	for key, want := range map[string]string{"a": "1", "b": `{"c":[2]}`, "c": `" x "`, "k": "3", "K": "2", "": "null", "A": "", "none": ""} {
		if got := rawjson.Field([]byte(object), key); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%q is %s, want %s", key, got, want)
		}
	}
	for _, text := range []string{``, `null`, `[]`, `"a"`, `{"a":1`, `{"a":1}x`, `{"a":1,"b":tru}`} {
		if got := rawjson.Field([]byte(text), "a"); got != nil {
			t.Errorf("%s has %s", text, got)
		}
	}
	small := []byte(`{"level":"info","data":{"a":"b"}}`)
	if n := testing.AllocsPerRun(100, func() { rawjson.Field(small, "level") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestVisitsEndWithTheError(t *testing.T) {
	stop, visits := errors.New("stop"), 0
	visit := func([]byte) error { visits++; return stop }
	if err := rawjson.Elements([]byte(`[1,2]`), visit); err != stop || visits != 1 {
		t.Errorf("%d elements, %v", visits, err)
	}
	err := rawjson.Members([]byte(`{"a":1,"b":2}`), func(_ string, v []byte) error { return visit(v) })
	if err != stop || visits != 2 {
		t.Errorf("%d visits, %v", visits, err)
	}
	if err := rawjson.Elements([]byte(`{}`), visit); !errors.Is(err, rawjson.ErrInvalid) {
		t.Errorf("an object's elements: %v", err)
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{`"x"`: "x", `""`: "", `"a\u0062\n"`: "ab\n", `1`: "", `null`: "", ``: "",
		`"`: "", `"x`: "", `"x" `: "", ` "x"`: "", `"x"y"`: "", `"\x"`: "", "\"\n\"": ""} {
		if got := rawjson.Text([]byte(in)); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
	if got := rawjson.Text(rawjson.Quote("\"é<\n")); got != "\"é<\n" {
		t.Errorf("quoted and read: %q", got)
	}
}

func TestSplices(t *testing.T) {
	for _, tt := range []struct{ in, prepended, replaced string }{
		{`{"a":1}`, `{"k":[],"a":1}`, `{"a":[]}`},
		{" { \"a\" : 1.0 ,\n\"b\":2 } ", "{\"k\":[], \"a\" : 1.0 ,\n\"b\":2 } ", " { \"a\" : [] ,\n\"b\":2 } "},
		{`{}`, `{"k":[]}`, ``},
		{`{ }`, `{"k":[] }`, ``},
		{`null`, `null`, ``},
		{``, ``, ``},
	} {
		in := []byte(tt.in)
		if got := rawjson.Prepend(in, "k", []byte(`[]`)); string(got) != tt.prepended {
			t.Errorf("%s and one more: %s, want %s", tt.in, got, tt.prepended)
		}
		if list, _ := rawjson.List(in); len(list) > 0 {
			if got := rawjson.Replace(in, list[0], []byte(`[]`)); string(got) != tt.replaced {
				t.Errorf("%s changed: %s, want %s", tt.in, got, tt.replaced)
			}
		}
		if string(in) != tt.in {
			t.Errorf("%s became %s", tt.in, in)
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
		got, err := rawjson.Edit([]byte(tt.in), drop(tt.keys))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s without %q: %s %v, want %s", tt.in, tt.keys, got, err, tt.want)
		}
	}
}

// A value that is appended to must not write into what stands behind it.
func TestValuesHaveNoSpareCapacity(t *testing.T) {
	object := []byte(`{"a":[1,2],"b":3}`)
	was := bytes.Clone(object)
	list, err := rawjson.List(object)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	values := [][]byte{list[0].Value, rawjson.Field(object, "a")}
	keep := func(v []byte) error { values = append(values, v); return nil }
	err = errors.Join(rawjson.Members(object, func(_ string, v []byte) error { return keep(v) }), rawjson.Elements(list[0].Value, keep))
	_, editErr := rawjson.Edit(object, func(_ string, v []byte) []byte { _ = keep(v); return v })
	if err != nil || editErr != nil || len(values) != 8 {
		t.Fatal(values, err, editErr)
	}
	for i, v := range values {
		if _ = append(v, "xyz"...); !bytes.Equal(object, was) {
			t.Fatalf("value %d: the object became %s", i, object)
		}
	}
}

func BenchmarkField(b *testing.B) {
	for _, size := range []int{36, 18 << 10} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			text := strings.Repeat(`line \"quoted\" é `, size/18)
			result := []byte(`{"content":[{"type":"text","text":"` + text + `"}],"isError":true}`)
			b.SetBytes(int64(len(result)))
			b.ReportAllocs()
			for b.Loop() {
				if rawjson.Field(result, "isError") == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkValid(b *testing.B) {
	one := `{"name":"tool","description":"What it does.","inputSchema":{"type":"object","properties":{"n":{"type":"integer","minimum":-1.5}}}},`
	list := []byte(`{"tools":[` + strings.TrimSuffix(strings.Repeat(one, 100), ",") + `]}`)
	b.SetBytes(int64(len(list)))
	b.ReportAllocs()
	for b.Loop() {
		if !rawjson.Valid(list) {
			b.Fatal("not valid")
		}
	}
}
