package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// wirePolicy tells an absent or null field from a value.
type wirePolicy struct {
	Active        *bool     `json:"mcpActive"`
	ReadOnly      *bool     `json:"mcpReadOnly"`
	Preset        *string   `json:"mcpPreset"`
	Permissions   *Limit    `json:"mcpPermissions"`
	AllowlistMode *Mode     `json:"mcpAllowlistMode"`
	ToolAllowlist *[]string `json:"mcpToolAllowlist"`
	ProjectIDs    *Limit    `json:"mcpProjectIds"`
	InstanceIDs   *Limit    `json:"mcpInstanceIds"`

	ArgumentRules *[]ArgumentRule `json:"mcpArgumentRules"`
	Approvals     *[]ApprovalRule `json:"mcpApprovals"`
	Limits        *[]RateLimit    `json:"mcpLimits"`
}

// Parse reads a policy's JSON form: an absent field takes its default, null
// resets to it (for the nullable lists null is the value). The error is a
// *SyntaxError; whether the values are known is [Policy.Validate]'s to say.
func Parse(data []byte) (Policy, error) {
	var w wirePolicy
	if err := UnmarshalStrict(data, &w); err != nil {
		return Policy{}, err
	}
	p := Default()
	take(&p.Active, w.Active)
	take(&p.ReadOnly, w.ReadOnly)
	take(&p.Preset, w.Preset)
	take(&p.Permissions, w.Permissions)
	take(&p.AllowlistMode, w.AllowlistMode)
	take(&p.ToolAllowlist, w.ToolAllowlist)
	take(&p.ProjectIDs, w.ProjectIDs)
	take(&p.InstanceIDs, w.InstanceIDs)
	take(&p.ArgumentRules, w.ArgumentRules)
	take(&p.Approvals, w.Approvals)
	take(&p.Limits, w.Limits)
	return p.Canonical(), nil
}

func take[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

// Canonical is the policy with each list as it is written: in the order given,
// without duplicates, and [] rather than none.
func (p Policy) Canonical() Policy {
	p.ToolAllowlist = append([]string{}, distinct(p.ToolAllowlist)...)
	for _, l := range []*Limit{&p.Permissions, &p.ProjectIDs, &p.InstanceIDs} {
		if !l.unlimited {
			*l = Only(l.only...)
		}
	}
	p.canonicalRules()
	return p
}

// Marshal writes the canonical JSON form, which names every field; Parse reads
// it back to the same policy. It is no method, so that a struct which embeds a
// Policy keeps its own JSON form.
func Marshal(p Policy) ([]byte, error) { return json.Marshal(p.Canonical()) }

// Equal tells whether two policies are written alike.
func (p Policy) Equal(o Policy) bool {
	p, o = p.Canonical(), o.Canonical()
	return p.Active == o.Active && p.ReadOnly == o.ReadOnly && p.Preset == o.Preset &&
		p.AllowlistMode == o.AllowlistMode && slices.Equal(p.ToolAllowlist, o.ToolAllowlist) &&
		p.Permissions.Equal(o.Permissions) && p.ProjectIDs.Equal(o.ProjectIDs) && p.InstanceIDs.Equal(o.InstanceIDs) && p.equalRules(&o)
}

// Known tells whether the scope is one that may be written.
func (s Scope) Known() bool { return s.OpensAPI() || s.OpensMCP() }

// Known tells whether the mode is one that may be written.
func (m Mode) Known() bool { return m == ModeAll || m == ModeAllow || m == ModeDeny }

// maxReported keeps the answer to a long broken list readable.
const maxReported = 10

// Validate lists what is wrong with a policy as written: unknown preset (not
// built in and not among presets), mode, permission, pattern, too many patterns.
// Ids are the store's to check.
func (p Policy) Validate(presets map[string]Preset) []Problem {
	var out []Problem
	if _, own := presets[p.Preset]; !own && !ReservedPreset(p.Preset) {
		out = append(out, Problem{"mcpPreset", fmt.Sprintf(
			"unknown preset %s: use read_only, standard, full_access, custom, or one of the tenant's own", quote(p.Preset))})
	}
	out = append(out, listProblems("mcpPermissions", p.Permissions.only, categoryEntryProblem)...)
	if !p.AllowlistMode.Known() {
		out = append(out, Problem{"mcpAllowlistMode", fmt.Sprintf(
			"unknown mode %s: use all, allow or deny", quote(string(p.AllowlistMode)))})
	}
	out = append(out, p.ruleProblems()...)
	if n := len(distinct(p.ToolAllowlist)); n > MaxPatterns {
		return append(out, Problem{"mcpToolAllowlist", fmt.Sprintf("has %d distinct patterns: at most %d", n, MaxPatterns)})
	}
	return append(out, listProblems("mcpToolAllowlist", p.ToolAllowlist, patternEntryProblem)...)
}

func listProblems(field string, list []string, problemOf func(string) string) []Problem {
	var out []Problem
	for i, entry := range list {
		if problem := problemOf(entry); problem != "" && len(out) < maxReported {
			out = append(out, Problem{field, fmt.Sprintf("entry %d: %s", i+1, problem)})
		}
	}
	return out
}

func patternEntryProblem(entry string) string {
	_, err := ParsePattern(entry)
	var bad *PatternError
	if errors.As(err, &bad) {
		return fmt.Sprintf("pattern %s %s", quote(entry), bad.Problem)
	}
	return ""
}
