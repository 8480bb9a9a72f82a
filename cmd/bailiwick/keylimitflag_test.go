package main

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]policy.RateLimit{
		"100/minute":        {Tool: "*", Requests: 100, Per: policy.PerMinute},
		"issues/*=5/second": {Tool: "issues/*", Requests: 5, Per: policy.PerSecond},
		"a=b=1/day":         {Tool: "a=b", Requests: 1, Per: policy.PerDay},
		"@web=0/hour":       {Tool: "@web", Requests: 0, Per: policy.PerHour}, // the server says what is wrong
		"":                  {}, "100": {}, "/minute": {}, "x/minute": {}, "1/week": {}, "1.5/day": {}, "=1/day": {}, "1/": {},
		"99999999999999999999/day": {}, "a/b": {}, "1 /day": {},
	} {
		got, ok := parseLimit(text)
		if ok != (want.Tool != "") || ok && got != want {
			t.Errorf("%q: %+v, %t", text, got, ok)
		}
		if ok && text != "@web=0/hour" && limitsText([]policy.RateLimit{got}) != text {
			t.Errorf("%q is shown as %s", text, limitsText([]policy.RateLimit{got}))
		}
	}
}
