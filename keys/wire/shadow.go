package wire

import (
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Shadow is what a key's draft policy would have had become of a call, in the
// detail of the call's audit entry: only where that differs from what became of it.
type Shadow struct {
	Decision string   `json:"decision"`         // deny, allow, approval, error
	Failed   []string `json:"failed,omitempty"` // the draft's failing rules, in order
}

// WithShadow adds to the detail of a call's audit entry how its draft differs.
func WithShadow(detail json.RawMessage, s Shadow) json.RawMessage {
	text, _ := json.Marshal(s) // texts
	out := append([]byte(`{"shadow":`), text...)
	if len(detail) == 0 {
		return append(out, '}')
	}
	return append(append(out, ','), detail[1:]...)
}

// ShadowReport is where a key's draft would have decided recorded calls otherwise.
type ShadowReport struct {
	KeyID       string      `json:"keyId" doc:"The key." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyVersion  int64       `json:"keyVersion" doc:"The version of the key that the report is about: give it as If-Match of the update that applies the draft." minimum:"1" example:"42"`
	Draft       *Policy     `json:"draft" doc:"The draft, with all its fields; null where the key has none. An update of the key (PUT /api/api-keys/{id}) with these fields and mcpShadow null applies it."`
	Days        int         `json:"days" doc:"How many days were asked for." minimum:"1" maximum:"365" example:"30"`
	Since       time.Time   `json:"since" doc:"From when on calls were counted: so many days ago, or when the draft or the policy that it is held against was changed last, if that was later." example:"2026-01-01T12:00:00Z"`
	Calls       int         `json:"calls" doc:"How many recorded requests of the key were looked at, denied ones too. A server that records a share of the calls (--audit-sample) leaves out only such as the draft decides alike." minimum:"0" example:"120"`
	Denied      int         `json:"denied" doc:"How many of them passed and the draft denies." minimum:"0" example:"3"`
	Allowed     int         `json:"allowed" doc:"How many were denied, or a person had to approve them, and the draft just allows. Limits are not looked at." minimum:"0" example:"0"`
	Approvals   int         `json:"approvals" doc:"How many by the draft a person would have to approve, and passed or were denied." minimum:"0" example:"0"`
	Errors      int         `json:"errors" doc:"How many the draft could not be decided of; the key's own policy was." minimum:"0" example:"0"`
	Differences []ShadowUse `json:"differences" doc:"The same by tool, most calls first."`
	Truncated   bool        `json:"truncated" doc:"Whether there was more than is looked at: 10,000 groups of alike requests, 1000 differences." example:"false"`
}

// ShadowUse are recorded calls of one thing that the draft would decide otherwise.
type ShadowUse struct {
	ID       string         `json:"id" doc:"What was called, as <instance>/<name or uri>." example:"notes/delete_note"`
	Kind     string         `json:"kind" doc:"What it is; a template's resources and completions count as what they are mostly of." enum:"tool,prompt,resource,template" example:"tool"`
	Decision string         `json:"decision" doc:"What the draft would have had become of it." enum:"deny,allow,approval,error" example:"deny"`
	Failed   []string       `json:"failed" doc:"The rules of the draft that fail, of all the calls." example:"[\"readonly\"]"`
	Count    int            `json:"count" doc:"How many calls." minimum:"1" example:"3"`
	LastAt   time.Time      `json:"lastAt" doc:"When the newest was." example:"2026-01-31T12:00:00Z"`
	Examples []UsageExample `json:"examples" doc:"The newest three; none of the entries after the first 50."`
}

// ShadowReportOf is the wire form of a report.
func ShadowReportOf(r keys.ShadowReport) ShadowReport {
	out := ShadowReport{KeyID: r.Key.ID, KeyVersion: r.Key.Version, Draft: shadowOf(r.Key.Shadow), Days: r.Days, Since: r.Since,
		Calls: r.Calls, Differences: each(r.Differences, shadowUseOf), Truncated: r.Truncated}
	counts := map[string]*int{keys.ShadowDeny: &out.Denied, keys.ShadowAllow: &out.Allowed, keys.ShadowApproval: &out.Approvals, keys.ShadowError: &out.Errors}
	for _, u := range r.Differences {
		if n := counts[u.Decision]; n != nil {
			*n += u.Count
		}
	}
	return out
}

func shadowUseOf(u keys.ShadowUse) ShadowUse {
	return ShadowUse{ID: u.ID, Kind: u.Kind, Decision: u.Decision, Failed: list(u.Failed), Count: u.Count, LastAt: u.Last,
		Examples: each(u.Examples, usageExampleOf)}
}

// Applied is the update that puts the draft in the place of the key's own policy. It
// resumes no key that was paused since the draft was set.
func (r ShadowReport) Applied() UpdateKey {
	d := r.Draft
	u := UpdateKey{
		PolicyFields: PolicyFields{
			MCPReadOnly: keys.Some(d.MCPReadOnly), MCPPreset: keys.Some(d.MCPPreset),
			MCPPermissions: keys.Some(d.MCPPermissions), MCPAllowlistMode: keys.Some(d.MCPAllowlistMode), MCPToolAllowlist: keys.Some(d.MCPToolAllowlist),
			MCPProjectIDs: keys.Some(d.MCPProjectIDs), MCPInstanceIDs: keys.Some(d.MCPInstanceIDs),
			MCPArgumentRules: keys.Some(d.MCPArgumentRules), MCPApprovals: keys.Some(d.MCPApprovals), MCPLimits: keys.Some(d.MCPLimits),
		},
		ShadowField: ShadowField{keys.Null[PolicyFields]()},
	}
	if !d.MCPActive {
		u.MCPActive = keys.Some(false)
	}
	return u
}
