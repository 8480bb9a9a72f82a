package db

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// stamp is a time as every database keeps it: UTC, to the microsecond.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func stampOrNil(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := stamp(*t)
	return &at
}

// list is a JSON list that is never null: a nil slice is stored as [].
type list []string

// Value encodes the list as JSON text.
func (l list) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]string(l))
	return string(text), err
}

// Scan decodes JSON text; null and anything but a list of strings is an error,
// for an empty deny list would let everything through.
func (l *list) Scan(src any) error {
	var values []string
	if err := scanJSON(src, &values); err != nil {
		return err
	}
	if values == nil {
		return fmt.Errorf("a list column holds null")
	}
	*l = values
	return nil
}

// limit is one of the nullable lists: NULL is unlimited, [] is nothing.
type limit struct{ policy.Limit }

// Value encodes the limit as NULL or JSON text.
func (l limit) Value() (driver.Value, error) {
	if l.IsUnlimited() {
		return nil, nil
	}
	text, err := l.MarshalJSON()
	return string(text), err
}

// Scan decodes NULL or JSON text. A JSON null inside the column is nobody's
// doing; it limits to nothing.
func (l *limit) Scan(src any) error {
	if src == nil {
		l.Limit = policy.Unlimited()
		return nil
	}
	var values []string
	if err := scanJSON(src, &values); err != nil {
		return err
	}
	l.Limit = policy.Only(values...)
	return nil
}

// policyColumn is a whole policy in one column, as on the wire.
type policyColumn struct{ policy.Policy }

// Value encodes the policy as JSON text, in its canonical form.
func (p policyColumn) Value() (driver.Value, error) {
	text, err := policy.Marshal(p.Policy)
	return string(text), err
}

// Scan decodes JSON text. What is not there permits nothing; without an
// allowlist it is an error, for an empty deny list would let everything through.
func (p *policyColumn) Scan(src any) error {
	var stored policy.Policy
	if err := scanJSON(src, &stored); err != nil {
		return err
	}
	if stored.ToolAllowlist == nil {
		return fmt.Errorf("a policy column has no list of tools")
	}
	p.Policy = stored.Canonical() // one of before may lack a list of rules
	return nil
}

// texts are the strings in it that somebody wrote.
func (p policyColumn) texts() []string {
	all := []string{p.Preset, string(p.AllowlistMode)}
	for _, values := range [][]string{p.ToolAllowlist, p.Permissions.Values(), p.ProjectIDs.Values(), p.InstanceIDs.Values()} {
		all = append(all, values...)
	}
	all = append(all, argumentTexts(p.ArgumentRules)...)
	return append(append(all, approvalTexts(p.Approvals)...), limitTexts(p.Limits)...)
}

func scanJSON(src, dst any) error {
	switch text := src.(type) {
	case string:
		return json.Unmarshal([]byte(text), dst)
	case []byte:
		return json.Unmarshal(text, dst)
	default:
		return fmt.Errorf("a JSON column holds %T", src)
	}
}
