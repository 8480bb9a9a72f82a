package wire

import (
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Approval is one call's wait for a person's approval, as answered.
type Approval struct {
	ID         string     `json:"id" doc:"The approval's id; ids grow with time." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Status     string     `json:"status" doc:"How far it has come. What is pending or approved when it ends is expired; withdrawn is what its client took back." enum:"pending,approved,denied,used,expired,withdrawn" example:"pending"`
	Action     string     `json:"action" doc:"What is to be done." example:"tools/call"`
	Tool       string     `json:"tool" doc:"The tool, prompt or resource, by the name that was asked for." example:"notes__delete_note"`
	Subject    string     `json:"subject" doc:"The same as <instance>/<name or uri>." example:"notes/delete_note"`
	Actor      string     `json:"actor" doc:"Who calls: a key's id, or a JWT's subject." example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyID      *string    `json:"keyId" doc:"The key that calls; null for a JWT's subject." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyHandle  *string    `json:"keyHandle" doc:"That key's handle then." example:"reader"`
	KeyVersion int64      `json:"keyVersion" doc:"The key's version (of a JWT's subject, the tenant's): an edit of it voids the approval." minimum:"0" example:"42"`
	ArgsDigest string     `json:"argsDigest" doc:"SHA-256 of the arguments as received, in hexadecimal." example:"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"`
	Client     *string    `json:"client" doc:"The client's name and version, as it says." example:"claude-code/2.1.0"`
	Epoch      int64      `json:"epoch" doc:"The edit as of which the call was decided." minimum:"0" example:"42"`
	CreatedAt  time.Time  `json:"createdAt" doc:"When it was asked for." example:"2026-01-31T12:00:00Z"`
	ExpiresAt  time.Time  `json:"expiresAt" doc:"Until when it can be answered and used." example:"2026-01-31T12:10:00Z"`
	DecidedBy  *string    `json:"decidedBy" doc:"Who answered: a key's id, operator, or a JWT's subject; null: nobody." example:"null"`
	DecidedAt  *time.Time `json:"decidedAt" doc:"When; null: not yet." example:"null"`
	Reason     *string    `json:"reason" doc:"Why, as who answered said." maxLength:"500" example:"null"`
	UsedAt     *time.Time `json:"usedAt" doc:"When it let its one call through; null: not yet." example:"null"`
}

// ShownApproval is an approval with what a person needs to decide on it.
type ShownApproval struct {
	Approval
	Arguments        json.RawMessage `json:"arguments" doc:"The call's arguments; null where there are none, where you do not hold manage:approvals, and above 64 KiB." example:"{\"id\":7}"`
	ArgumentsOmitted bool            `json:"argumentsOmitted" doc:"Whether the arguments are above 64 KiB, so that only their digest is known." example:"false"`
}

// ApprovalPage is one page of approvals; Next is the cursor of the following one,
// null at the end.
type ApprovalPage struct {
	Approvals []Approval `json:"approvals" doc:"The approvals, newest first, without their arguments."`
	Next      *string    `json:"next" doc:"The cursor of the next page; null is the end." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
}

// DecideApproval is the body of an answer to a call that waits, which may be left out.
type DecideApproval struct {
	Reason keys.Opt[string] `json:"reason" doc:"Why; a denied client is told." maxLength:"500" example:"not in production"`
}

// ApprovalOf is the wire form of an approval.
func ApprovalOf(a keys.CallApproval) Approval {
	return Approval{ID: a.ID, Status: string(a.Status), Action: a.Action, Tool: a.Tool, Subject: a.Subject, Actor: a.Actor,
		KeyID: optional(a.KeyID), KeyHandle: optional(a.KeyHandle), KeyVersion: a.KeyVersion, ArgsDigest: a.ArgsDigest,
		Client: optional(a.Client), Epoch: a.Epoch, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt, DecidedBy: optional(a.DecidedBy),
		DecidedAt: a.DecidedAt, Reason: optional(a.Reason), UsedAt: a.UsedAt}
}

// ShownApprovalOf is the wire form of an approval with its arguments.
func ShownApprovalOf(a keys.ShownApproval) ShownApproval {
	out := ShownApproval{Approval: ApprovalOf(a.CallApproval), Arguments: a.Arguments, ArgumentsOmitted: a.Omitted}
	if out.Arguments == nil {
		out.Arguments = json.RawMessage("null")
	}
	return out
}

// ApprovalPageOf is the wire form of one page of at most limit approvals; one more
// tells that there is a next page.
func ApprovalPageOf(list []keys.CallApproval, limit int) ApprovalPage {
	var next *string
	if len(list) > limit {
		list = list[:limit]
		next = &list[limit-1].ID
	}
	return ApprovalPage{Approvals: each(list, ApprovalOf), Next: next}
}
