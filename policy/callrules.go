package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The rules of this file are for calls only: they never hide a tool from a list.

// ArgumentRule limits one argument of calls. A call of a tool that Tool names must
// have a string at Pointer that one of the patterns of Allow matches.
type ArgumentRule struct {
	Tool    string   `json:"tool" doc:"A pattern of tools, as in mcpToolAllowlist." minLength:"1" maxLength:"256" required:"true" example:"issues/*"`
	Pointer string   `json:"pointer" doc:"Where the argument is: a JSON pointer (RFC 6901) into the call's arguments." minLength:"2" maxLength:"256" required:"true" example:"/repository"`
	Allow   []string `json:"allow" doc:"Patterns of the values that may be there; * is the only wildcard, and none is nothing." maxItems:"256" minLength:"1" maxLength:"256" required:"true" example:"[\"acme/*\"]"`
}

// ApprovalRule has a person approve each call of the tools that Tool names and
// whose effect is Effect or higher.
type ApprovalRule struct {
	Tool   string `json:"tool" doc:"A pattern of tools, as in mcpToolAllowlist." minLength:"1" maxLength:"256" required:"true" example:"*"`
	Effect Effect `json:"effect" doc:"From which effect on; absent, it is read: every one." default:"read" example:"destructive"`
}

// RateLimit is how many calls of the tools that Tool names, of all of them
// together, a key may make in a period of Per.
type RateLimit struct {
	Tool     string `json:"tool" doc:"A pattern of tools, as in mcpToolAllowlist; they share the limit." minLength:"1" maxLength:"256" required:"true" example:"*"`
	Requests int64  `json:"requests" doc:"How many calls." minimum:"1" maximum:"1000000000" required:"true" example:"100"`
	Per      Period `json:"per" doc:"In which time: of the clock, in UTC." required:"true" example:"minute"`
}

// String says it to people: 1 call per day of notes/delete_*; of all tools, no tool is named.
func (r RateLimit) String() string {
	text := fmt.Sprintf("%d calls per %s", r.Requests, r.Per)
	if r.Requests == 1 {
		text = "1 call per " + string(r.Per)
	}
	if r.Tool == "*" {
		return text
	}
	return text + " of " + r.Tool
}

// Period is the time that a RateLimit is for.
type Period string

// The periods. Any other value lets no call through.
const (
	PerSecond Period = "second"
	PerMinute Period = "minute"
	PerHour   Period = "hour"
	PerDay    Period = "day"
)

// Seconds is the period's length; 0 of one that is not known.
func (p Period) Seconds() int64 {
	switch p {
	case PerSecond:
		return 1
	case PerMinute:
		return 60
	case PerHour:
		return 60 * 60
	case PerDay:
		return 24 * 60 * 60
	}
	return 0
}

// The limits of a policy's rules for calls.
const (
	MaxArgumentRules = 64
	MaxApprovalRules = 64
	MaxRateLimits    = 16
	MaxRequests      = 1_000_000_000
	MaxPointerLength = 256 // characters
)

// canonicalRules are the rules as they are written: an effect that is not said is
// read, which is every effect.
func (p *Policy) canonicalRules() {
	rules := make([]ArgumentRule, len(p.ArgumentRules))
	for i, r := range p.ArgumentRules {
		r.Allow = append([]string{}, distinct(r.Allow)...)
		rules[i] = r
	}
	p.ArgumentRules = rules
	p.Approvals = append([]ApprovalRule{}, p.Approvals...)
	for i := range p.Approvals {
		if p.Approvals[i].Effect == 0 {
			p.Approvals[i].Effect = EffectRead
		}
	}
	p.Limits = append([]RateLimit{}, p.Limits...)
}

func (p *Policy) equalRules(o *Policy) bool {
	same := func(a, b ArgumentRule) bool {
		return a.Tool == b.Tool && a.Pointer == b.Pointer && slices.Equal(a.Allow, b.Allow)
	}
	return slices.EqualFunc(p.ArgumentRules, o.ArgumentRules, same) &&
		slices.Equal(p.Approvals, o.Approvals) && slices.Equal(p.Limits, o.Limits)
}

// ruleProblems lists what is wrong with the rules for calls as written.
func (p *Policy) ruleProblems() []Problem {
	out := ruleList("mcpArgumentRules", MaxArgumentRules, p.ArgumentRules, ArgumentRule.problem)
	out = append(out, ruleList("mcpApprovals", MaxApprovalRules, p.Approvals, ApprovalRule.problem)...)
	return append(out, ruleList("mcpLimits", MaxRateLimits, p.Limits, RateLimit.problem)...)
}

func ruleList[R any](field string, most int, rules []R, problem func(R) (string, string)) []Problem {
	if len(rules) > most {
		return []Problem{{field, fmt.Sprintf("has %d entries: at most %d", len(rules), most)}}
	}
	var out []Problem
	for i, r := range rules {
		if member, text := problem(r); text != "" && len(out) < maxReported {
			out = append(out, Problem{fmt.Sprintf("%s[%d].%s", field, i, member), text})
		}
	}
	return out
}

func (r ArgumentRule) problem() (member, text string) {
	if text := patternEntryProblem(r.Tool); text != "" {
		return "tool", text
	}
	if text := pointerProblem(r.Pointer); text != "" {
		return "pointer", text
	}
	if n := len(distinct(r.Allow)); n > MaxPatterns {
		return "allow", fmt.Sprintf("has %d distinct patterns: at most %d", n, MaxPatterns)
	}
	for i, value := range r.Allow {
		if text := valuePatternProblem(value); text != "" {
			return "allow", fmt.Sprintf("entry %d %s", i+1, text)
		}
	}
	return "", ""
}

func (r ApprovalRule) problem() (member, text string) {
	if r.Effect != 0 && !r.Effect.Known() {
		return "effect", "must be read, write or destructive"
	}
	return "tool", patternEntryProblem(r.Tool)
}

func (r RateLimit) problem() (member, text string) {
	switch {
	case r.Requests < 1 || r.Requests > MaxRequests:
		return "requests", fmt.Sprintf("must be from 1 to %d", MaxRequests)
	case r.Per.Seconds() == 0:
		return "per", fmt.Sprintf("unknown period %s: use second, minute, hour or day", quote(string(r.Per)))
	}
	return "tool", patternEntryProblem(r.Tool)
}

// pointerProblem says why a text is no JSON pointer (RFC 6901) to something
// within the arguments; "" when it is one.
func pointerProblem(text string) string {
	switch {
	case text == "" || text[0] != '/':
		return "must begin with /, as in /project"
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case utf8.RuneCountInString(text) > MaxPointerLength:
		return fmt.Sprintf("has more than %d characters", MaxPointerLength)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "has a control character"
	}
	for rest := text; ; {
		_, after, escaped := strings.Cut(rest, "~")
		if !escaped {
			return ""
		}
		if after == "" || after[0] != '0' && after[0] != '1' {
			return "has a ~ that is neither ~0 (for ~) nor ~1 (for /)"
		}
		rest = after
	}
}

func valuePatternProblem(text string) string {
	switch {
	case text == "":
		return "is empty: name a value, or use * for all"
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	case utf8.RuneCountInString(text) > MaxPatternLength:
		return fmt.Sprintf("has more than %d characters", MaxPatternLength)
	case strings.ContainsFunc(text, unicode.IsControl):
		return "has a control character"
	}
	return ""
}
