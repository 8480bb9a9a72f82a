package keys

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"
)

// CallApproval is one call's wait for a person's approval. An approval lets one
// call through: of the same key in the same version, of the same tool in the same
// definition, with the same arguments to the byte, until ExpiresAt.
type CallApproval struct {
	ID       string // UUIDv7
	TenantID string
	Status   ApprovalStatus

	Actor      string // the key's id, or a JWT's subject
	KeyID      string // "" for a JWT's subject
	KeyHandle  string
	KeyVersion int64  // of the key, or of the tenant for a JWT's subject
	Action     string // tools/call, prompts/get, ...
	Subject    string // the tool's canonical id
	Tool       string // the name as asked for
	ArgsDigest string // hex SHA-256 of the arguments as received
	Client     string // name/version as the client says
	Epoch      int64  // as of which the call was decided

	CreatedAt time.Time
	ExpiresAt time.Time
	DecidedBy string // the actor; "" = nobody has
	DecidedAt *time.Time
	Reason    string // of who decided, at most 500 characters
	UsedAt    *time.Time
}

// ApprovalStatus is how far an approval has come.
type ApprovalStatus string

// The states of a CallApproval. One that is pending or approved when it expires
// reads as expired.
const (
	ApprovalPending   ApprovalStatus = "pending"
	ApprovalApproved  ApprovalStatus = "approved"
	ApprovalDenied    ApprovalStatus = "denied"
	ApprovalUsed      ApprovalStatus = "used"
	ApprovalExpired   ApprovalStatus = "expired" // never stored
	ApprovalWithdrawn ApprovalStatus = "withdrawn"
)

// ApprovalStatuses are all of them.
func ApprovalStatuses() []ApprovalStatus {
	return []ApprovalStatus{ApprovalPending, ApprovalApproved, ApprovalDenied, ApprovalUsed, ApprovalExpired, ApprovalWithdrawn}
}

// open tells whether something can still become of it, but for the time.
func (s ApprovalStatus) open() bool { return s == ApprovalPending || s == ApprovalApproved }

// CallApprovalRecord is a CallApproval as it is kept.
type CallApprovalRecord struct {
	CallApproval
	Binding [32]byte // which calls it is for
	Uses    int64    // requests that it let through: one, and one for each that goes on with the call
	Sealed  []byte   // the arguments, encrypted; nil = too large to be shown
}

// at is the record as it reads at the time.
func (r CallApprovalRecord) at(now time.Time) CallApprovalRecord {
	if r.Status.open() && !now.Before(r.ExpiresAt) {
		r.Status = ApprovalExpired
	}
	return r
}

// row is what the sealed arguments are bound to.
func (a *CallApproval) row() string { return "approval " + a.TenantID + " " + a.ID }

// CallApprovalQuery selects approvals, newest first.
type CallApprovalQuery struct {
	Status  ApprovalStatus // "" = any
	Binding [32]byte       // zero = any
	Before  string         // older than this id; "" = from the newest
	Limit   int            // 0 = 50
	At      time.Time      // when it is asked, which tells expired ones
}

// DefaultApprovalLimit is how many approvals a query answers that says no limit.
const DefaultApprovalLimit = 50

// HeldCall is a call that needs an approval, as it was decided. The digests are
// hex SHA-256.
type HeldCall struct {
	Action, Subject, Tool string
	ToolDigest            string // of the tool's definition, as clients see it
	ArgsDigest            string // of the arguments as received; of nothing where there are none
	Arguments             json.RawMessage
	Client                string
}

// The limits of approvals.
const (
	approvalLife         = 10 * time.Minute
	approvalKept         = 24 * time.Hour // after its end
	maxApprovalArguments = 64 << 10       // bytes that an approver is shown
	maxPendingKey        = 16
	maxPendingTenant     = 256
)

// PendingError is as many calls waiting for approval as there may be.
type PendingError struct {
	Whose string // key or organization
	Most  int
}

func (e *PendingError) Error() string {
	return "as many calls of this " + e.Whose + " wait for approval as may"
}

// binding sums up what an approval is for: nothing else is let through by it.
func (p Principal) binding(call *HeldCall) (sum [32]byte) {
	h := sha256.New()
	version := binary.BigEndian.AppendUint64(nil, uint64(p.rightsVersion()))
	for _, part := range []string{p.TenantID(), p.ID(), string(version), call.Action, call.Subject, call.Tool,
		call.ToolDigest, call.ArgsDigest} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return [32]byte(h.Sum(nil))
}

// rightsVersion is the last edit of what the principal's own rights come from: the
// key, or the tenant, whose jwtPolicy a JWT's subject has.
func (p Principal) rightsVersion() int64 {
	if p.IsSubject() {
		return p.of().tenant.Version
	}
	return p.of().key.Version
}
