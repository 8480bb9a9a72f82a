package db

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// rules is a JSON list of what a policy demands of calls. It is never null.
type rules[R any] []R

// Value encodes the rules as JSON text; a nil slice is [].
func (r rules[R]) Value() (driver.Value, error) {
	if r == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]R(r))
	return string(text), err
}

// Scan decodes JSON text; null and what can't be read is an error: without its
// rules a key could do more.
func (r *rules[R]) Scan(src any) error {
	var list []R
	if err := scanJSON(src, &list); err != nil {
		return err
	}
	if list == nil {
		return fmt.Errorf("a column of rules holds null")
	}
	*r = list
	return nil
}

// optionalPolicy is a whole policy in one column, or NULL for none.
type optionalPolicy struct{ *policy.Policy }

// Value encodes the policy as JSON text, none as NULL.
func (p optionalPolicy) Value() (driver.Value, error) {
	if p.Policy == nil {
		return nil, nil
	}
	return policyColumn{*p.Policy}.Value()
}

// Scan decodes NULL or JSON text.
func (p *optionalPolicy) Scan(src any) error {
	if src == nil {
		p.Policy = nil
		return nil
	}
	var column policyColumn
	if err := column.Scan(src); err != nil {
		return err
	}
	p.Policy = &column.Policy
	return nil
}

func (p optionalPolicy) texts() []string {
	if p.Policy == nil {
		return nil
	}
	return policyColumn{*p.Policy}.texts()
}

func argumentTexts(rules []policy.ArgumentRule) []string {
	all := []string{}
	for _, r := range rules {
		all = append(append(all, r.Tool, r.Pointer), r.Allow...)
	}
	return all
}

func approvalTexts(rules []policy.ApprovalRule) []string {
	all := []string{}
	for _, r := range rules {
		all = append(all, r.Tool)
	}
	return all
}

func limitTexts(limits []policy.RateLimit) []string {
	all := []string{}
	for _, l := range limits {
		all = append(all, l.Tool, string(l.Per))
	}
	return all
}

// withValues gives each rule a list of values that is not nil, which would be
// stored as null.
func withValues(rules []policy.ArgumentRule) []policy.ArgumentRule {
	out := make([]policy.ArgumentRule, len(rules))
	for i, r := range rules {
		r.Allow = notNil(r.Allow)
		out[i] = r
	}
	return out
}
