package policy_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// opt tells absent, null and a value apart, as request bodies do.
type opt[T any] struct {
	Present, Null bool
	Value         T
}

func (o *opt[T]) UnmarshalJSON(data []byte) error {
	o.Present = true
	if string(data) == "null" {
		o.Null = true
		return nil
	}
	return json.Unmarshal(data, &o.Value)
}

func (o *opt[T]) StrictElem() any { return &o.Value }

type strictInner struct {
	X int     `json:"x"`
	Y *string `json:"y"`
}

type StrictBase struct {
	ID     string `json:"id"`
	Shadow int    `json:"shadow"`
}

type strictBody struct {
	StrictBase
	Name     string                 `json:"name"`
	Shadow   string                 `json:"shadow"`
	On       bool                   `json:"on"`
	Small    int8                   `json:"small"`
	Count    uint                   `json:"count"`
	Ratio    float64                `json:"ratio"`
	Quoted   int                    `json:"quoted,string"`
	List     []string               `json:"list"`
	Pair     [2]int                 `json:"pair"`
	Bytes    []byte                 `json:"bytes"`
	Inner    strictInner            `json:"inner"`
	Pointer  *strictInner           `json:"pointer"`
	ByName   map[string]strictInner `json:"byName"`
	Many     []strictInner          `json:"many"`
	At       time.Time              `json:"at"`
	MaybeAt  *time.Time             `json:"maybeAt"`
	Effect   policy.Effect          `json:"effect"`
	Limit    policy.Limit           `json:"limit"`
	Opt      opt[strictInner]       `json:"opt"`
	OptList  opt[[]strictInner]     `json:"optList"`
	OptLimit opt[policy.Limit]      `json:"optLimit"`
	Raw      json.RawMessage        `json:"raw"`
	Free     any                    `json:"free"`
	Tilde    string                 `json:"a~b/c"`
	Untagged string
	Skipped  string `json:"-"`
	hidden   string //lint:ignore U1000 a field that JSON does not reach
}

func TestUnmarshalStrictAccepts(t *testing.T) {
	text := ` {"id":"i","name":"n","shadow":"s","on":true,"small":-128,"count":7,"ratio":1e3,"quoted":"5",
		"list":["a"],"pair":[1,2],"bytes":"aGk=","inner":{"x":1,"y":null},"pointer":null,"byName":{"Any Name":{"x":2}},
		"many":[{"x":3},{}],"at":"2026-01-01T00:00:00Z","maybeAt":null,"effect":"write","limit":null,
		"opt":{"x":4},"optList":[{"x":5}],"optLimit":["l"],"raw":{"a":[1,{"A":2,"a":3}]},"free":{"x":null},
		"a~b/c":"\ud83d\ude00","Untagged":"u"} `
	var got, want strictBody
	if err := policy.UnmarshalStrict([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Opt.Value.X != 4 || !got.OptLimit.Present || got.Shadow != "s" || !got.Limit.IsUnlimited() {
		t.Errorf("not what was written: %+v", got)
	}
	for _, text := range []string{
		`{"opt":null,"optList":null,"optLimit":null,"raw":null,"free":null,"byName":null}`, `{}`, "\t{}\r\n",
	} {
		if err := policy.UnmarshalStrict([]byte(text), new(strictBody)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestUnmarshalStrictRefuses(t *testing.T) {
	deep := strings.Repeat(`[`, policy.MaxDepth+1) + strings.Repeat(`]`, policy.MaxDepth+1)
	for text, pointer := range map[string]string{
		``:                                "",
		` `:                               "",
		`null`:                            "",
		`[]`:                              "",
		`"CANARY"`:                        "",
		`{"name":"CANARY"`:                "",
		`{"name":"CANARY"}x`:              "",
		`{"name":"CANARY"}{}`:             "",
		`{"name":"CANARY",}`:              "",
		`{name:"CANARY"}`:                 "",
		"{\"name\":\"\xffCANARY\"}":       "",
		"\ufeff{}":                        "",
		`{"Name":"CANARY"}`:               "/Name",
		`{"nAmE":"CANARY"}`:               "/nAmE",
		`{"other":"CANARY"}`:              "/other",
		`{"untagged":"CANARY"}`:           "/untagged",
		`{"Skipped":"CANARY"}`:            "/Skipped",
		`{"hidden":"CANARY"}`:             "/hidden",
		`{"StrictBase":{}}`:               "/StrictBase",
		`{"shadow":1}`:                    "/shadow",
		`{"name":"CANARY","name":"b"}`:    "/name",
		`{"name":"a","n\u0061me":"b"}`:    "/name",
		`{"name":null}`:                   "/name",
		`{"on":null}`:                     "/on",
		`{"on":"true"}`:                   "/on",
		`{"on":1}`:                        "/on",
		`{"name":12345678}`:               "/name",
		`{"name":{}}`:                     "/name",
		`{"small":128}`:                   "/small",
		`{"small":1.5}`:                   "/small",
		`{"small":"1"}`:                   "/small",
		`{"count":-1}`:                    "/count",
		`{"ratio":1e999}`:                 "/ratio",
		`{"list":null}`:                   "/list",
		`{"list":"CANARY"}`:               "/list",
		`{"list":["a",null]}`:             "/list/1",
		`{"list":[["CANARY"]]}`:           "/list/0",
		`{"pair":[1]}`:                    "/pair",
		`{"pair":[1,2,3]}`:                "/pair",
		`{"bytes":"CANARY!"}`:             "/bytes",
		`{"bytes":[1]}`:                   "/bytes",
		`{"inner":null}`:                  "/inner",
		`{"inner":[]}`:                    "/inner",
		`{"inner":{"X":1}}`:               "/inner/X",
		`{"inner":{"y":1}}`:               "/inner/y",
		`{"pointer":{"z":1}}`:             "/pointer/z",
		`{"byName":{"k":{"z":"CANARY"}}}`: "/byName/k/z",
		`{"byName":{"k":{},"k":{}}}`:      "/byName/k",
		`{"byName":{"a/b":null}}`:         "/byName/a~1b",
		`{"many":[{},{"X":1}]}`:           "/many/1/X",
		`{"at":null}`:                     "/at",
		`{"at":"CANARY"}`:                 "/at",
		`{"maybeAt":"CANARY"}`:            "/maybeAt",
		`{"effect":"CANARY"}`:             "/effect",
		`{"effect":1}`:                    "/effect",
		`{"effect":null}`:                 "/effect",
		`{"limit":"CANARY"}`:              "/limit",
		`{"limit":[null]}`:                "/limit",
		`{"opt":{"X":1}}`:                 "/opt/X",
		`{"opt":{"x":1,"x":2}}`:           "/opt/x",
		`{"optList":[{"x":"CANARY"}]}`:    "/optList/0/x",
		`{"optLimit":[3]}`:                "/optLimit",
		`{"raw":{"a":[{"b":1,"b":2}]}}`:   "/raw/a/0/b",
		`{"raw":"\udc00"}`:                "/raw",
		`{"free":{"a":1,"\u0061":2}}`:     "/free/a",
		`{"free":"\ud800\u0041"}`:         "/free",
		`{"free":["\\\ud83d"]}`:           "/free/0",
		`{"free":{"\ud800":1}}`:           "/free",
		`{"a~b/c":1}`:                     "/a~0b~1c",
		`{"free":` + deep + `}`:           "/free",
		`{"quoted":5}`:                    "",
	} {
		var v strictBody
		err := policy.UnmarshalStrict([]byte(text), &v)
		var bad *policy.SyntaxError
		if !errors.As(err, &bad) {
			t.Errorf("%s: accepted, or another error: %v", text, err)
			continue
		}
		if bad.Pointer != pointer || bad.Problem == "" {
			t.Errorf("%s: at %q (%s), want %q", text, bad.Pointer, bad.Problem, pointer)
		}
		if shown := err.Error(); strings.Contains(shown, "CANARY") || strings.Contains(shown, "12345678") {
			t.Errorf("%s: the error shows a value: %s", text, shown)
		}
		if !reflect.DeepEqual(v, strictBody{}) {
			t.Errorf("%s: half decoded: %+v", text, v)
		}
	}
}

func TestUnmarshalStrictSaysWhatToDo(t *testing.T) {
	for text, hint := range map[string]string{
		`{"Name":"a"}`:  "write name",
		`{"on":0}`:      "true or false",
		`{"at":"noon"}`: "RFC 3339",
		`{"limit":7}`:   "null or a list",
		`{"effect":""}`: "read, write or destructive",
	} {
		if err := policy.UnmarshalStrict([]byte(text), new(strictBody)); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v, want a hint of %q", text, err, hint)
		}
	}
	long := `{"` + strings.Repeat("n", 1000) + `":1}`
	if err := policy.UnmarshalStrict([]byte(long), new(strictBody)); err == nil || len(err.Error()) > 200 {
		t.Errorf("a long name is repeated whole: %v", err)
	}
	for name, v := range map[string]any{"no pointer": strictBody{}, "nil pointer": (*strictBody)(nil), "nothing": nil} {
		var bad *policy.SyntaxError
		if err := policy.UnmarshalStrict([]byte(`{}`), v); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
