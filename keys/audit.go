package keys

import (
	"encoding/json"
	"time"
)

// AuditEntry is one line of the audit trail: a decision, a call or a change.
// It never holds a token or an upstream credential, and an argument's value only
// where the tenant wants that (Tenant.AuditArguments).
type AuditEntry struct {
	ID       string // UUIDv7
	TenantID string
	Time     time.Time // of a change or decision; of a call, when it ended: Latency after it was decided

	Kind   string // decision, call, change
	Action string // tools/call, key.create, instance.update, ...

	Actor      string // key id, "operator", or a JWT subject
	KeyID      string // the key that asked; "" for the operator
	KeyVersion int64
	Subject    string // id of what was changed, or the tool's canonical id
	Tool       string // the name as asked for, at most 256 characters

	Decision string   // allow, deny
	Failed   []string // all failing rules, in order
	Seen     string   // of a call or decision over MCP, what it saw of the tool: see SeenOf; "" of all else
	Ref      string   // the reference a denial carried; unique in the tenant

	ArgsDigest string // hex SHA-256 of the arguments as received
	Outcome    string // ok, tool_error, upstream_error, input_required, canceled; "" for changes
	Latency    time.Duration
	Client     string // name/version as the client says
	Epoch      int64
	// Detail is, of a change, the fields before and after; of a denial, every rule;
	// and of a tool call, its arguments where the tenant has them kept. Where the key's
	// draft would have decided otherwise, it has a shadow.
	Detail json.RawMessage

	// The chain that makes it tamper-evident, see AuditChain and AuditHash.
	// Stores number and hash what they write.
	Writer string // EditsWriter, or the process; "" = from before there were chains
	Seq    int64  // from 1 for each tenant and writer
	Hash   string
}

// AuditQuery selects audit entries, newest first where it does not say else.
type AuditQuery struct {
	KeyID    string
	Action   string
	Subject  string
	Tool     string
	Decision string
	Kind     string
	Ref      string
	Shadow   string    // ShadowDeny, ...: what the key's draft would have decided
	Since    time.Time // from then on
	Until    time.Time // before then; zero = without an end
	Oldest   bool      // oldest first
	Before   string    // entries older than this id; "" = from the newest
	After    string    // entries newer than this id; "" = from the oldest
	Limit    int       // 0 = 50
}

// Change is one row of the change feed: what was edited at which epoch.
type Change struct {
	Epoch    int64
	TenantID string
	Kind     ChangeKind
	ID       string
}

// ChangeKind says what a change is about.
type ChangeKind string

// The kinds of change.
const (
	ChangeTenant   ChangeKind = "tenant"
	ChangeProject  ChangeKind = "project"
	ChangeInstance ChangeKind = "instance"
	ChangePreset   ChangeKind = "preset"
	ChangeKey      ChangeKind = "key"
)
