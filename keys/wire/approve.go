package wire

import "github.com/bailiwick-mcp/bailiwick/keys"

// ApproveTools is the body that approves tools of an instance: all or none.
type ApproveTools struct {
	Tools keys.Opt[[]ApproveTool] `json:"tools" doc:"The tools to approve: all of them, or none." required:"true" nonnull:"true" minItems:"1" maxItems:"256"`
}

// ApproveTool names a tool, and which definition of it was looked at.
type ApproveTool struct {
	Name   string `json:"name" doc:"The upstream's own name of it." required:"true" minLength:"1" maxLength:"128" example:"read_note"`
	Digest string `json:"digest" doc:"The digest that the list of tools had of it when you looked; another one by now is a conflict, and nothing is approved." required:"true" pattern:"^[0-9a-f]{64}$" example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
}

// Approvals is the domain's request.
func (w ApproveTools) Approvals() ([]keys.ToolApproval, error) {
	if w.Tools.Null {
		return nil, invalid("tools", "must not be null")
	}
	out := make([]keys.ToolApproval, len(w.Tools.Value))
	for i, t := range w.Tools.Value {
		out[i] = keys.ToolApproval{Name: t.Name, Digest: t.Digest}
	}
	return out, nil
}
