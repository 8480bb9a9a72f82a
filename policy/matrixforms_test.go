package policy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// What the corpus calls by these names there is; any other name is unknown.
var (
	project    = regexp.MustCompile(`^p\d$`).MatchString
	instance   = regexp.MustCompile(`^i-[a-z]$`).MatchString
	slug       = regexp.MustCompile(`^([a-z]|bailiwick)$`).MatchString
	category   = oneOf("tools", "web", "keys", "audit", "platform")
	pattern    = func(s string) bool { return naivePatternOK(s) && s != "nothing" }
	permission = oneOf(strings.Fields(everyPermission)...)
	management = oneOf("keys", "audit", "platform")
	reserved   = oneOf("read_only", "standard", "full_access", "custom")
)

func oneOf(names ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(names, s) }
}

func ordinary(t *policy.Tool) bool {
	return t != nil && naiveID.MatchString(t.ID) && t.ID != "bailiwick/whoami"
}

func ofInstance(t *policy.Tool) bool { return ordinary(t) && !naiveBuiltin(t) }

// wireForms are those of a field of the policy's JSON. A field beside it that
// the same rule looks at must not be given.
func wireForms(field string, on func(*policy.Tool) bool, known func(string) bool, beside ...string) formsOf {
	return func(c *corpusCase, t *policy.Tool) []string {
		if c.malformed == "" && !on(t) || slices.ContainsFunc(beside, c.gives) {
			return nil
		}
		word, fields := c.wire()
		raw, given := fields[field]
		switch {
		case given:
			return []string{jsonForm(field, raw, known)}
		case word == "open" && (field == "mcpReadOnly" || field == "mcpPreset"):
			return nil // open stands for a value here
		}
		return []string{"absent"}
	}
}

// wire is the policy's line: its word and its fields, none when it is no object.
func (c *corpusCase) wire() (word string, fields map[string]json.RawMessage) {
	for _, line := range c.said {
		if line.word == "policy" || line.word == "open" {
			word = line.word
			if json.Unmarshal([]byte(line.rest), &fields) != nil {
				fields = nil
			}
		}
	}
	return word, fields
}

// word finds one word of a line, as in "key scope" for key scope=api.
func (c *corpusCase) word(name string) (value string, given bool) {
	first, second, _ := strings.Cut(name, " ")
	for _, line := range c.said {
		for _, w := range strings.Fields(line.rest) {
			if word, v, _ := strings.Cut(w, "="); line.word == first && word == second {
				value, given = v, true
			}
		}
	}
	return value, given
}

func (c *corpusCase) gives(name string) bool {
	_, onWire := c.wire()
	_, field := onWire[name]
	_, word := c.word(name)
	return field || word
}

func jsonForm(field string, raw json.RawMessage, known func(string) bool) string {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "wrong"
	}
	isBool, isWord := field == "mcpActive" || field == "mcpReadOnly", field == "mcpPreset" || field == "mcpAllowlistMode"
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return pick(isBool, string(raw), "wrong")
	case string:
		if isWord {
			return nameForm(v, known)
		}
	case []any:
		if isBool || isWord {
			return "wrong"
		}
		var list []string
		for _, entry := range v {
			s, ok := entry.(string)
			if !ok {
				return pick(entry == nil, "null-entry", "wrong-entry")
			}
			list = append(list, s)
		}
		return listForm(list, known)
	}
	return "wrong"
}

// nameForm is a known name itself.
func nameForm(name string, known func(string) bool) string {
	switch {
	case name == "":
		return "empty"
	case known(name):
		return name
	}
	return "unknown"
}

func listForm(list []string, known func(string) bool) string {
	knows := slices.ContainsFunc(list, known)
	switch {
	case len(list) == 0:
		return "empty"
	case !knows:
		return "unknown"
	case slices.ContainsFunc(list, func(s string) bool { return !known(s) }):
		return "mixed"
	case slices.Contains(list, "mcp:*"):
		return "all"
	case len(list) == 1:
		return "one"
	}
	return "many"
}

// wordForms are those of a word on a line of the corpus. Without known names
// the word has no value; an id that there is counts as one, whichever it is.
func wordForms(name string, on func(*policy.Tool) bool, known func(string) bool, beside ...string) formsOf {
	return func(c *corpusCase, t *policy.Tool) []string {
		value, given := c.word(name)
		switch {
		case !on(t) || slices.ContainsFunc(beside, c.gives):
			return nil
		case !given:
			return []string{"absent"}
		case known == nil:
			return []string{"said"}
		case name == "key project" && project(value):
			return []string{"one"}
		}
		return []string{nameForm(value, known)}
	}
}

func byEffect(forms formsOf) formsOf {
	return func(c *corpusCase, t *policy.Tool) []string {
		out := forms(c, t)
		for i := range out {
			if t != nil {
				out[i] += "," + t.Effect.String()
			}
		}
		return out
	}
}

func toolForms(form func(*policy.Tool) string) formsOf {
	return func(_ *corpusCase, t *policy.Tool) []string {
		if !ofInstance(t) {
			return nil
		}
		return []string{form(t)}
	}
}

// sessionForms are those of what a session gives up, where it gives up nothing
// else.
func sessionForms(word string, known func(string) bool) formsOf {
	return func(c *corpusCase, t *policy.Tool) []string {
		var words []string
		for _, line := range c.said {
			if line.word == "session" {
				words = append(words, strings.Fields(line.rest)...)
			}
		}
		value, given := c.word("session " + word)
		switch {
		case !ordinary(t) || len(words) > 1 || !given && len(words) > 0:
			return nil
		case !given:
			return []string{"absent"}
		case known == nil:
			return []string{"said"}
		}
		return []string{listForm(splitList(value), known)}
	}
}

func expiryForms(c *corpusCase, t *policy.Tool) []string {
	text, given := c.word("key expires")
	if !ordinary(t) {
		return nil
	}
	if !given {
		return []string{"absent"}
	}
	switch left := c.layers[0].ExpiresAt.Sub(genNow); {
	case !strings.HasSuffix(text, "Z"):
		return []string{"another-zone"}
	case left < 0:
		return []string{"past"}
	case left == 0:
		return []string{"now"}
	case left == time.Nanosecond:
		return []string{"next"}
	}
	return []string{"future"}
}
