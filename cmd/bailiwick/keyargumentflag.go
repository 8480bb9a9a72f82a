package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const argumentRuleUsage = "calls of tools that a pattern names need an argument: a `rule` TOOL POINTER=PATTERN[,PATTERN...], like 'a1/find /project=team-*'; repeatable"

// argumentFlags are the rules for the arguments of calls.
type argumentFlags struct {
	rules []string
	none  bool
}

func (f *argumentFlags) flags(flags *pflag.FlagSet) {
	patternFlag(flags, &f.rules, "argument-rule", argumentRuleUsage)
	flags.BoolVar(&f.none, "no-argument-rules", false, "no rules for arguments (a new key's default)")
}

// given is what the flags say; absent where they say nothing.
func (f *argumentFlags) given() (keys.Opt[[]policy.ArgumentRule], error) {
	switch {
	case f.none:
		return keys.Some([]policy.ArgumentRule{}), nil
	case f.rules == nil:
		return keys.Opt[[]policy.ArgumentRule]{}, nil
	}
	rules, err := argumentRules(f.rules)
	return keys.Some(rules), err
}

// argumentRules reads the values of --argument-rule.
func argumentRules(texts []string) ([]policy.ArgumentRule, error) {
	if len(texts) == 0 {
		// Nothing would be demanded, which its writer did not mean.
		return nil, &usageError{"--argument-rule names no rule", "name one, like 'a1/find /project=team-*'; --no-argument-rules is none"}
	}
	rules := make([]policy.ArgumentRule, len(texts))
	for i, text := range texts {
		tool, rest, spaced := strings.Cut(strings.TrimSpace(text), " ")
		pointer, values, equals := strings.Cut(strings.TrimSpace(rest), "=")
		r := policy.ArgumentRule{Tool: tool, Pointer: pointer, Allow: []string{}}
		if values != "" {
			r.Allow = strings.Split(values, ",")
		}
		problem := ruleTextProblem(r)
		if !spaced || !equals {
			problem = "is not TOOL POINTER=PATTERN"
		}
		if problem != "" {
			return nil, &usageError{fmt.Sprintf("--argument-rule %q: %s", text, problem), "like: --argument-rule 'a1/find /project=team-*,shared'"}
		}
		rules[i] = r
	}
	return rules, nil
}

func ruleTextProblem(r policy.ArgumentRule) string {
	if err := patternProblem(r.Tool); err != nil {
		return err.Error()
	}
	if problem := policy.PointerProblem(r.Pointer); problem != "" {
		return "the pointer " + problem
	}
	if slices.Contains(r.Allow, "") {
		return "has an empty pattern: name a value, or use * for all"
	}
	return ""
}

// argumentRows are the rules as the flag has them.
func argumentRows(rules []policy.ArgumentRule) []row {
	var out []row
	for _, r := range rules {
		out = append(out, row{"argument rule", r.Tool + " " + r.Pointer + "=" + strings.Join(r.Allow, ",")})
	}
	return out
}
