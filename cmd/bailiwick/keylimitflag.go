package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// limitFlags are how many calls a key may make.
type limitFlags struct {
	limits []string
	none   bool
}

func (f *limitFlags) flags(flags *pflag.FlagSet) {
	patternFlag(flags, &f.limits, "limit", "at most so many calls, as `[TOOL=]N/PERIOD`, like 100/minute or 'issues/*=5/second'; second, minute, hour or day; repeatable")
	flags.BoolVar(&f.none, "no-limits", false, "as many calls as it likes (a new key's default)")
}

// given are the limits that the flags say; absent where they say nothing.
func (f *limitFlags) given(flags *pflag.FlagSet) (keys.Opt[[]policy.RateLimit], error) {
	if f.none {
		return keys.Some([]policy.RateLimit{}), nil
	}
	if !flags.Changed("limit") {
		return keys.Opt[[]policy.RateLimit]{}, nil
	}
	if len(f.limits) == 0 {
		return keys.Opt[[]policy.RateLimit]{}, &usageError{"--limit says nothing", "write how many calls, like 100/minute; --no-limits is no limit"}
	}
	limits := []policy.RateLimit{}
	for _, text := range f.limits {
		limit, ok := parseLimit(text)
		if !ok {
			return keys.Opt[[]policy.RateLimit]{}, &usageError{fmt.Sprintf("--limit %q is not [TOOL=]N/PERIOD", keys.WithoutToken(text)),
				"like 100/minute, or 'issues/*=5/second'; the period is second, minute, hour or day"}
		}
		limits = append(limits, limit)
	}
	return keys.Some(limits), nil
}

// parseLimit reads [TOOL=]N/PERIOD; the number holds no =, though a pattern may.
func parseLimit(text string) (policy.RateLimit, bool) {
	limit := policy.RateLimit{Tool: "*"}
	if eq := strings.LastIndexByte(text, '='); eq >= 0 {
		limit.Tool, text = text[:eq], text[eq+1:]
	}
	number, per, ok := strings.Cut(text, "/")
	n, err := strconv.ParseInt(number, 10, 64)
	limit.Requests, limit.Per = n, policy.Period(per)
	return limit, ok && err == nil && limit.Per.Seconds() > 0 && limit.Tool != ""
}

func limitsText(limits []policy.RateLimit) string {
	var out []string
	for _, l := range limits {
		text := fmt.Sprintf("%d/%s", l.Requests, l.Per)
		if l.Tool != "*" {
			text = l.Tool + "=" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
