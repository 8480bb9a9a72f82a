package rest_test

import (
	"fmt"
	"regexp"
	"strings"
)

// placeholders stand for what differs from run to run: <id:1>, <token:1>,
// <prefix:1>, <time:1>, <hash:1>, <version:1>. The same one is the same value throughout
// a file, another one another value.
type placeholders struct {
	names    map[string]string // value -> placeholder
	values   map[string]string // placeholder -> value
	numbers  map[string]int    // of each kind, the last
	literals string            // what a request says itself stays as it is
}

func newPlaceholders(literals string) *placeholders {
	return &placeholders{names: map[string]string{}, values: map[string]string{}, numbers: map[string]int{}, literals: literals}
}

// name gives a value a name of its own.
func (p *placeholders) name(placeholder, value string) {
	p.names[value], p.values[placeholder] = placeholder, value
}

// kinds are told apart by their form; a version by where it stands.
var kinds = []struct {
	kind string
	form *regexp.Regexp
}{
	{"token", regexp.MustCompile(`bwk_(?:live|poll)_[0-9A-Za-z]{49}()`)},
	{"prefix", regexp.MustCompile(`bwk_(?:live|poll)_[0-9A-Za-z]{4}()`)},
	{"id", regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}()`)},
	{"time", regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z()`)},
	{"hash", regexp.MustCompile(`("hash": ?")[0-9a-f]{64}`)},
	{"version", regexp.MustCompile(`("(?:version|epoch|keyVersion)": ?|ETag: "|Version: )\d+`)},
}

// hide puts placeholders where the values are.
func (p *placeholders) hide(text string) string {
	for _, k := range kinds {
		text = k.form.ReplaceAllStringFunc(text, func(found string) string {
			before := k.form.FindStringSubmatch(found)[1]
			value := found[len(before):]
			if k.kind != "version" && strings.Contains(p.literals, value) {
				return found
			}
			return before + p.of(k.kind, value)
		})
	}
	return text
}

func (p *placeholders) of(kind, value string) string {
	key := value
	if kind == "version" {
		key = "version " + value
	}
	if name, known := p.names[key]; known {
		return name
	}
	p.numbers[kind]++
	name := fmt.Sprintf("<%s:%d>", kind, p.numbers[kind])
	p.names[key], p.values[name] = name, value
	return name
}

var placeholder = regexp.MustCompile(`<[a-z]+:[a-z0-9-]+>`)

// show puts the values where the placeholders are; it answers those that it
// does not know.
func (p *placeholders) show(text string) (_ string, unknown []string) {
	text = placeholder.ReplaceAllStringFunc(text, func(found string) string {
		value, ok := p.values[found]
		if !ok {
			unknown = append(unknown, found)
		}
		return value
	})
	return text, unknown
}
