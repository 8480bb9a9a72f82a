package policy_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// matrixRow holds the corpus to one field: each form that its value can have
// must occur with each verdict that design section 2 gives it.
type matrixRow struct {
	field string
	forms formsOf
	rules string // the field's own rule, then those that may fail beside it
	cells string // form=verdict,verdict
}

// The verdicts: allow, nothing fails; deny, the field's rule fails, and none but
// those of the row; malformed, parsing stops at the field; refused, what was
// given may not be written.

// formsOf are the forms of a field in one case, as seen by a call of the tool
// (nil where the policy does not parse); none where the case tells nothing of
// the field.
type formsOf func(c *corpusCase, t *policy.Tool) []string

// matrix has a group for each struct that a decision is made of, and a row for
// each of its fields.
var matrix = []struct {
	of   reflect.Type
	rows []matrixRow
}{
	{reflect.TypeFor[policy.Policy](), policyRows},
	{reflect.TypeFor[policy.Subject](), subjectRows},
	{reflect.TypeFor[policy.Preset](), presetRows},
	{reflect.TypeFor[policy.Narrowing](), sessionRows},
	{reflect.TypeFor[policy.Tool](), toolRows},
}

// Fields that a row would say nothing of.
var noRow = map[string]string{
	"Subject.policy":          "has rows of its own",
	"Policy.mcpArgumentRules": "is of calls, which Decide does not see",
	"Policy.mcpApprovals":     "is of calls, which Decide does not see",
	"Policy.mcpLimits":        "is of calls, which Decide does not see",
	"Tool.projectPointer":     "is of calls, which Decide does not see",
	"Tool.name":               "follows from the id, in the reader as in the catalog",
}

func TestCorpusHoldsEveryForm(t *testing.T) {
	cases := corpusCases(t)
	for _, group := range matrix {
		names := structFields(group.of)
		for _, row := range group.rows {
			if !slices.Contains(names, row.field) {
				t.Errorf("%s.%s: a row for what is no field", group.of.Name(), row.field)
			}
			there := map[string]bool{}
			for _, c := range cases {
				row.credit(c, there)
			}
			for _, missing := range row.missing(there) {
				t.Errorf("%s.%s: no case of testdata/policy has %s", group.of.Name(), row.field, missing)
			}
		}
		for _, name := range names {
			hasRow := slices.ContainsFunc(group.rows, func(r matrixRow) bool { return r.field == name })
			if _, none := noRow[group.of.Name()+"."+name]; hasRow == none {
				t.Errorf("%s.%s: needs a row of the matrix, or a reason for none", group.of.Name(), name)
			}
		}
	}
}

// credit marks the cells that the case fills. A key with a parent fills none:
// the verdict could be the parent's.
func (r *matrixRow) credit(c *corpusCase, there map[string]bool) {
	if len(c.layers) > 1 {
		return
	}
	mark := func(tool *policy.Tool, verdict string) {
		for _, form := range r.forms(c, tool) {
			there[form+"="+verdict] = true
		}
	}
	if c.malformed == "/"+r.field || strings.HasPrefix(c.malformed, "/"+r.field+"/") {
		mark(nil, "malformed")
	}
	rules := strings.Fields(r.rules)
	for _, d := range c.decisions {
		foreign := slices.ContainsFunc(d.failed, func(rule string) bool { return !slices.Contains(rules, rule) })
		switch {
		case len(d.failed) == 0:
			mark(d.tool, "allow")
		case slices.Contains(d.failed, rules[0]) && !foreign:
			mark(d.tool, "deny")
		}
		if slices.Contains(c.refused, r.field) {
			mark(d.tool, "refused")
		}
	}
}

func (r *matrixRow) missing(there map[string]bool) []string {
	var out []string
	for _, cell := range strings.Fields(r.cells) {
		form, verdicts, _ := strings.Cut(cell, "=")
		for verdict := range strings.SplitSeq(verdicts, ",") {
			if !there[form+"="+verdict] {
				out = append(out, form+"="+verdict)
			}
		}
	}
	return out
}

func structFields(of reflect.Type) []string {
	var names []string
	for i := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if name == "" {
			name = of.Field(i).Name
		}
		names = append(names, name)
	}
	return names
}

func corpusCases(t *testing.T) map[string]*corpusCase {
	t.Helper()
	cases := map[string]*corpusCase{}
	for topic, file := range corpusFiles(t) {
		for _, section := range file.Files {
			if cases[topic+"/"+section.Name] != nil {
				t.Errorf("%s/%s is there twice", topic, section.Name)
			}
			cases[topic+"/"+section.Name] = readCase(t, string(section.Data))
		}
	}
	return cases
}
