package keys

import (
	"context"
	"errors"
	"time"
)

// Store is where everything is kept. Implementations: db (Postgres, SQLite)
// and keystest (memory); keystest.Run is the contract as tests.
//
// Absence is always ErrNotFound, a broken uniqueness a *ConflictError, an
// unreachable database ErrUnavailable (wrapped). Times come back in UTC,
// to the microsecond. No method checks permissions: that is the Service's.
type Store interface {
	// Read runs fn over one consistent snapshot. Its Reader ends with fn.
	Read(ctx context.Context, fn func(Reader) error) error

	// Edit runs fn in one read-write transaction: it takes the next epoch,
	// runs fn, writes the rows with version = epoch, one change row for each
	// thing changed, and fn's audit entries; then it commits and answers the
	// epoch. Edits are serialized: epoch order is commit order. When fn fails,
	// nothing is written and no epoch is used. fn may run more than once (on
	// serialization failures) and must not keep state between runs. An edit
	// that changes something and records no audit entry is an error, as is one
	// whose fn changed nothing but asked for an audit entry of kind change.
	// When fn writes nothing at all, or only answers, logins and approvals of calls, no
	// epoch is used and Edit answers the current one: nothing that a replica keeps has
	// changed.
	Edit(ctx context.Context, fn func(Writer) error) (epoch int64, err error)

	// Epoch is the last committed edit, 0 on an empty store.
	Epoch(ctx context.Context) (int64, error)
	// Changes are the changes after the given epoch, in order, whole epochs
	// only, at most limit rows (but at least one epoch).
	Changes(ctx context.Context, after int64, limit int) ([]Change, error)

	// TouchKeys sets lastUsedAt, never backwards, without an edit: no epoch,
	// no version. Unknown ids are skipped.
	TouchKeys(ctx context.Context, used map[string]time.Time) error
	// Register inserts a replica's row, Beat updates its Applied and Beat, and
	// EndReplica removes it, all without an edit. A row that is gone is
	// ErrNotFound; one whose beat is another than EndReplica names, ErrVersion.
	Register(ctx context.Context, r Replica) error
	Beat(ctx context.Context, r Replica) error
	EndReplica(ctx context.Context, id string, beat int64) error
	// Replicas are all that are registered, in no order.
	Replicas(ctx context.Context) ([]Replica, error)

	// TakeCalls takes want calls from a window in which most may be taken in all,
	// or as many as are left; a negative want gives some back. It answers how many
	// were granted (negative: given back) and how many are left, and is no edit.
	TakeCalls(ctx context.Context, w CallWindow, want, most int64) (granted, left int64, err error)
	// DropCalls forgets the windows that end at the time, in seconds since 1970,
	// or before.
	DropCalls(ctx context.Context, ended int64) error

	// SaveDefinitions replaces what is stored of one instance, without an edit,
	// and answers what is announced now, by kind and name, each tool with its
	// pin: PinDefinitions says what becomes of the pins, under a lock that other
	// saves and approvals of the instance wait for. An instance that is gone is
	// ErrNotFound.
	SaveDefinitions(ctx context.Context, tenantID, instanceID string, defs []Definition) ([]Definition, error)
	// AppendAudit writes call and decision entries, all or none, each linked to
	// the chain of the Writer that it names. An entry whose id is already there
	// is skipped, in whichever chain it stands, so that a batch can be tried
	// again, by another process too.
	AppendAudit(ctx context.Context, entries []AuditEntry) error
	// SignAudit has the ends of audit chains signed from now on, within the
	// transaction that writes the entries. Until then they are not.
	SignAudit(signer *AuditSigner)
	// CutAudit removes entries of a tenant, and sets where the chains were cut,
	// all or none: a chain that was not cut at From until then is
	// ErrVersion. It is no edit.
	CutAudit(ctx context.Context, tenantID string, ids []string, cuts []AuditCut) error

	Close() error
}

// Listener is a Store that can hear of edits, by whichever process, sooner than
// polling finds them. What is heard is a hint: none is waited for.
type Listener interface {
	// Listen calls heard once it hears, and after each edit, until ctx ends or
	// the connection is lost. ErrNotHeard: nothing is to be heard of this store.
	Listen(ctx context.Context, heard func()) error
}

// ErrNotHeard is a store of which no edits are heard.
var ErrNotHeard = errors.New("no notifications arrive from this store")

// Reader reads within one snapshot. tenantID confines every method that takes
// it: a foreign id is ErrNotFound.
type Reader interface {
	// AsOf is the last edit that the snapshot has, 0 on an empty store; within
	// an edit, the one before it.
	AsOf(ctx context.Context) (int64, error)
	Meta(ctx context.Context, name string) (string, error)

	// Tenant finds by id, or else by slug.
	Tenant(ctx context.Context, idOrSlug string) (Tenant, error)
	Tenants(ctx context.Context) ([]Tenant, error) // by slug

	Project(ctx context.Context, tenantID, id string) (Project, error)
	Projects(ctx context.Context, tenantID string) ([]Project, error) // by slug

	Instance(ctx context.Context, tenantID, id string) (Instance, error)
	Instances(ctx context.Context, tenantID string) ([]Instance, error) // by slug; tenantID "" = of all tenants
	// Definitions are those that are announced, by kind and name.
	Definitions(ctx context.Context, tenantID, instanceID string) ([]Definition, error)
	// Pins are those of all tools, of those that are gone too, by name.
	Pins(ctx context.Context, tenantID, instanceID string) ([]Pin, error)

	Preset(ctx context.Context, tenantID, name string) (Preset, error)
	Presets(ctx context.Context, tenantID string) ([]Preset, error) // by name

	// Key finds revoked keys too. tenantID "" = in any tenant.
	Key(ctx context.Context, tenantID, id string) (Key, error)
	// KeyByHandle finds live and expired keys, not revoked ones.
	KeyByHandle(ctx context.Context, tenantID, handle string) (Key, error)
	// Keys answers one page and the total without limit and offset.
	// tenantID "" = of all tenants.
	Keys(ctx context.Context, tenantID string, q KeyQuery) ([]Key, int, error)
	// KeyByHash finds the key that a secret belongs to, revoked ones too.
	KeyByHash(ctx context.Context, hash [32]byte) (Key, KeySecret, error)
	// Secrets are a key's secrets, newest first.
	Secrets(ctx context.Context, tenantID, keyID string) ([]KeySecret, error)

	// Handles are those of the tenant's live and expired keys, in no order.
	Handles(ctx context.Context, tenantID string) ([]string, error)
	// TakenHashes are those of the given that a key of any tenant has, in no order.
	TakenHashes(ctx context.Context, hashes [][32]byte) ([][32]byte, error)

	// Answer finds what was answered to a principal under an idempotency key,
	// expired or not.
	Answer(ctx context.Context, tenantID, principal, key string) (Answer, error)

	// Login finds a device's sign-in, expired or not.
	Login(ctx context.Context, id string) (LoginRecord, error)
	// PendingLogins counts those that are pending and not expired at the time.
	PendingLogins(ctx context.Context, at time.Time) (int, error)
	// ExpiredLogins are all that have expired at the time, by when they did.
	ExpiredLogins(ctx context.Context, at time.Time) ([]LoginRecord, error)

	// CallApproval finds an approval of a call, expired or not, with the status that
	// is stored.
	CallApproval(ctx context.Context, tenantID, id string) (CallApprovalRecord, error)
	// CallApprovals answers approvals by id, newest first, with the status that is
	// stored; the query's counts what is open and has expired as expired.
	CallApprovals(ctx context.Context, tenantID string, q CallApprovalQuery) ([]CallApprovalRecord, error)
	// PendingCalls counts the approvals that are pending, or were withdrawn, and have
	// not expired at the time: the actor's, and all of the tenant.
	PendingCalls(ctx context.Context, tenantID, actor string, at time.Time) (own, all int, err error)

	// Audit answers entries by id, in the order that the query asks for.
	Audit(ctx context.Context, tenantID string, q AuditQuery) ([]AuditEntry, error)
	// AuditUse counts calls and denials that are alike, most first; then by key,
	// action, subject, tool and decision, and by those of the draft.
	AuditUse(ctx context.Context, tenantID string, q AuditUseQuery) ([]AuditUse, error)
	// AuditTrail answers entries with ids after the given one, oldest first, at
	// most limit.
	AuditTrail(ctx context.Context, tenantID, after string, limit int) ([]AuditEntry, error)
	// AuditChains are the tenant's, by writer; tenantID "" = of all tenants.
	AuditChains(ctx context.Context, tenantID string) ([]AuditChain, error)
}

// Writer writes within one edit. The version of what is written is set to the
// edit's epoch. Insert of a taken name, slug, handle or hash is a
// *ConflictError; update or delete of what is not there ErrNotFound.
type Writer interface {
	Reader

	// Epoch is the epoch this edit will have.
	Epoch() int64

	// PutMeta sets a value; it needs no audit entry and makes no change row.
	PutMeta(ctx context.Context, name, value string) error

	InsertTenant(ctx context.Context, t *Tenant) error
	UpdateTenant(ctx context.Context, t *Tenant) error

	InsertProject(ctx context.Context, p *Project) error
	UpdateProject(ctx context.Context, p *Project) error
	// DeleteProject of a project that still has instances is a *ConflictError.
	DeleteProject(ctx context.Context, tenantID, id string) error

	InsertInstance(ctx context.Context, i *Instance) error
	UpdateInstance(ctx context.Context, i *Instance) error
	// DeleteInstance deletes its definitions and pins too.
	DeleteInstance(ctx context.Context, tenantID, id string) error
	// ApproveTool pins a tool of an instance to the definition that is announced
	// and answers the tool as it was; the change is one of the instance. One that
	// is not announced is ErrNotFound, one that is announced with another digest
	// a *ConflictError. What is pinned so already is no change.
	ApproveTool(ctx context.Context, tenantID, instanceID, name, digest string) (was Definition, err error)

	InsertPreset(ctx context.Context, p *Preset) error
	UpdatePreset(ctx context.Context, p *Preset) error
	// DeletePreset of one that a key not revoked uses is a *ConflictError.
	DeletePreset(ctx context.Context, tenantID, name string) error

	InsertKey(ctx context.Context, k *Key, secrets ...KeySecret) error
	// InsertKeys inserts keys of one tenant, each with the secret beside it: all
	// of them, or none and the error of one that can't be.
	InsertKeys(ctx context.Context, made []Key, secrets []KeySecret) error
	// UpdateKey writes all but lastUsedAt, createdAt and the immutable fields.
	UpdateKey(ctx context.Context, k *Key) error
	// PutSecrets replaces a key's secrets.
	PutSecrets(ctx context.Context, tenantID, keyID string, secrets ...KeySecret) error
	// DeleteKey purges a key and its secrets.
	DeleteKey(ctx context.Context, tenantID, id string) error

	// PutAnswer inserts or replaces an answer; it needs no audit entry and makes
	// no change row.
	PutAnswer(ctx context.Context, a *Answer) error
	// DropAnswers deletes, in all tenants, the answers that have expired at the
	// given time, and answers how many.
	DropAnswers(ctx context.Context, expired time.Time) (int, error)

	// Logins need no audit entry and make no change row. UpdateLogin writes the
	// state, tenant, key and what is sealed; DropLogins deletes those that have
	// expired at the time, and answers how many.
	InsertLogin(ctx context.Context, l *LoginRecord) error
	UpdateLogin(ctx context.Context, l *LoginRecord) error
	DropLogins(ctx context.Context, expired time.Time) (int, error)

	// Approvals of calls need no audit entry and make no change row. UpdateCallApproval
	// writes the status, what was decided, and the uses, of one whose status and uses
	// are still those of was; else it is ErrVersion. DropCallApprovals deletes, in all
	// tenants, those that have expired at the time, and answers how many.
	InsertCallApproval(ctx context.Context, r *CallApprovalRecord) error
	UpdateCallApproval(ctx context.Context, r *CallApprovalRecord, was CallApprovalRecord) error
	DropCallApprovals(ctx context.Context, expired time.Time) (int, error)

	// Record writes audit entries of this edit, linked to the chain of the
	// tenant's edits; the Store sets their Epoch and Writer. After an error the
	// edit fails, whatever fn answers.
	Record(ctx context.Context, entries ...AuditEntry) error
}
