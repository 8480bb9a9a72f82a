package policy_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Each target has seeds in testdata/fuzz, run by every go test.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	for _, target := range []string{"FuzzPattern", "FuzzCoveredPattern", "FuzzPolicyJSON", "FuzzStrictFreeForm", "FuzzStrictTyped", "FuzzArguments"} {
		seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if err != nil || len(seeds) < 5 {
			t.Errorf("%s has %d seeds (%v)", target, len(seeds), err)
		}
		for _, path := range seeds {
			if text, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(text, []byte("go test fuzz v1\n")) {
				t.Errorf("%s is no seed (%v)", path, err)
			}
		}
	}
}

// A pattern is accepted and matches as a regular expression says.
func FuzzPattern(f *testing.F) {
	f.Fuzz(func(t *testing.T, text, slug, name, category string) {
		p, err := policy.ParsePattern(text)
		if (err == nil) != naivePatternOK(text) {
			t.Fatalf("%q: %v", text, err)
		}
		tool := &policy.Tool{ID: slug + "/" + name, Name: slug + "__" + name, Category: category, Effect: policy.EffectRead}
		allow, deny := listGrant(policy.ModeAllow, text), listGrant(policy.ModeDeny, text)
		want := err == nil && naiveID.MatchString(tool.ID) && naiveMatch(text, tool)
		if got := p.MatchText(name); err == nil && got != naiveGlob(text, name) {
			t.Fatalf("%q matches %q: %t", text, name, got)
		}
		if got := p.Match(tool); got != want {
			t.Fatalf("%q names %q: %t, want %t", text, tool.ID, got, want)
		}
		if tool.Builtin() || !naiveID.MatchString(tool.ID) || !policy.ValidCategory(category) {
			return
		}
		if got := allow.Decide(nil, tool, genNow).Allowed(); got != want {
			t.Fatalf("allow %q permits %q: %t, want %t", text, tool.ID, got, want)
		}
		if got := deny.Decide(nil, tool, genNow).Allowed(); got != (err == nil && !want) {
			t.Fatalf("deny %q permits %q: %t, want %t", text, tool.ID, got, !want)
		}
	})
}

// Where one pattern's grant covers another's, no tool tells otherwise.
func FuzzCoveredPattern(f *testing.F) {
	f.Fuzz(func(t *testing.T, one, two, slug, name string) {
		if !naivePatternOK(one) || !naivePatternOK(two) || strings.Contains(slug, "/") {
			return
		}
		tools := []*policy.Tool{
			{ID: slug + "/" + name, Name: slug + "__" + name, Category: "tools", Effect: policy.EffectRead},
			{ID: slug + "/" + name, Name: name, Category: "web", Effect: policy.EffectRead},
		}
		for _, parent := range []*policy.Grant{listGrant(policy.ModeAllow, one), listGrant(policy.ModeDeny, one)} {
			for _, child := range []*policy.Grant{listGrant(policy.ModeAllow, two), listGrant(policy.ModeDeny, two)} {
				for _, tool := range tools {
					if child.Decide(nil, tool, genNow).Allowed() && !parent.Decide(nil, tool, genNow).Allowed() && policy.Covers(parent, child) {
						t.Fatalf("%q covers %q, but not for %q", one, two, tool.ID)
					}
				}
			}
		}
	})
}

func listGrant(mode policy.Mode, patterns ...string) *policy.Grant {
	s := openSubject()
	s.Policy.AllowlistMode, s.Policy.ToolAllowlist = mode, patterns
	return policy.Compile(s)
}

// A policy that parses has one canonical form, says what encoding/json reads,
// and decides as the naive reading does, whether or not it is valid.
func FuzzPolicyJSON(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			return
		}
		again, err := policy.Parse([]byte(mustMarshal(t, p)))
		if err != nil || !again.Equal(p) || mustMarshal(t, again) != mustMarshal(t, p) {
			t.Fatalf("%s: read back as %+v (%v)", text, again, err)
		}
		judge := policy.Default()
		if err := json.Unmarshal([]byte(text), &judge); err != nil || !judge.Canonical().Equal(p) && !strings.Contains(text, "null") {
			t.Fatalf("%s: encoding/json reads %+v (%v)", text, judge, err)
		}
		s := openSubject()
		s.Policy = p
		for _, tool := range []*policy.Tool{
			{ID: "a/read", Name: "a__read", Category: "tools", Effect: policy.EffectRead, InstanceID: "i1", ProjectID: "p1"},
			{ID: "a/drop", Name: "a__drop", Category: "web", Effect: policy.EffectDestructive, WriteEnabled: true},
		} {
			got, want := failing(policy.Compile(s).Decide(nil, tool, genNow)), naive{[]policy.Subject{s}, nil}.decide(tool, genNow)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %q fails %v, the naive reading says %v", text, tool.ID, got, want)
			}
		}
	})
}

// A free-form value is accepted exactly when it is one JSON value without
// duplicates, broken text or too much depth, and means what encoding/json says.
func FuzzStrictFreeForm(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		var got, want any
		err := policy.UnmarshalStrict([]byte(text), &got)
		plain := json.Unmarshal([]byte(text), &want)
		if proper := plain == nil && utf8.ValidString(text) && properTokens(text); proper != (err == nil) {
			t.Fatalf("%q: %v; encoding/json: %v, proper: %t", text, err, plain, proper)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, encoding/json reads %#v", text, got, want)
		}
	})
}

var halfPair = regexp.MustCompile(`(?i)\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|\\\\|\\ud[89a-f]`)

// properTokens judges by the tokens of encoding/json: no name twice in one
// object, no half of a surrogate pair, no more than MaxDepth levels.
func properTokens(text string) bool {
	for _, found := range halfPair.FindAllString(text, -1) {
		if len(found) == len(`\ud8`) {
			return false
		}
	}
	type level struct {
		names map[string]bool // nil in a list
		value bool            // a value, not a name, comes next
	}
	var levels []*level
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			levels = levels[:len(levels)-1]
			continue
		}
		if n := len(levels); n > 0 && levels[n-1].names != nil {
			top := levels[n-1]
			if name, ok := token.(string); ok && !top.value {
				if top.names[name] {
					return false
				}
				top.names[name], top.value = true, true
				continue
			}
			top.value = false
		}
		if len(levels) > policy.MaxDepth {
			return false
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, &level{names: map[string]bool{}})
		case json.Delim('['):
			levels = append(levels, &level{})
		}
	}
}

// What is accepted for a type, encoding/json accepts too, with unknown fields
// refused, and reads alike.
func FuzzStrictTyped(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		var got, want strictBody
		err := policy.UnmarshalStrict([]byte(text), &got)
		if err != nil {
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%q: half decoded: %+v", text, got)
			}
			return
		}
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %+v, encoding/json reads %+v (%v)", text, got, want, err)
		}
		var names map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &names); err != nil {
			t.Fatal(err)
		}
		for name := range names {
			if !strings.Contains(strictNames, " "+name+" ") {
				t.Fatalf("%q: accepts the field %s", text, strconv.Quote(name))
			}
		}
	})
}

const strictNames = " id name shadow on small count ratio quoted list pair bytes inner pointer byName many at maybeAt effect limit opt optList optLimit raw free a~b/c Untagged "
