package keys

import (
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Login is a device's sign-in: a program without a key asks for one, a person
// approves it, and the program collects it with the poll token that only it has
// (after RFC 8628). It ends 10 minutes after it began, whatever its state.
type Login struct {
	ID    string
	State LoginState

	Name         string // of the key
	DeviceName   string
	Scopes       []string // permissions in the primary spelling
	Source       string
	KeyExpiresAt *time.Time

	TenantID  string // of who decided; "" while pending
	KeyID     string // the key that was made; "" before
	CreatedAt time.Time
	ExpiresAt time.Time
}

// LoginState is how far a sign-in has come.
type LoginState string

// The states of a Login.
const (
	LoginPending  LoginState = "pending"
	LoginApproved LoginState = "approved" // the key is made and waits
	LoginDenied   LoginState = "denied"   // or the key was revoked before it was collected
	LoginConsumed LoginState = "consumed" // the key was handed out
)

// LoginRecord is a Login as it is kept.
type LoginRecord struct {
	Login
	Poll   [32]byte // hash of the poll token
	Sealed []byte   // the key's token, encrypted, until it is handed out
}

// NewLogin asks for a sign-in.
type NewLogin struct {
	Name         string // "" = the device's name, or else the source
	DeviceName   string
	Scopes       []string
	Source       string // "" = cli
	KeyExpiresAt *time.Time
}

// Approval is what a person makes of a sign-in.
type Approval struct {
	ProjectID   string        // confines the key; "" = not
	Permissions Opt[[]string] // within those asked for; absent or null = as asked
}

// BusyError is too much at once: try again later.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string { return "too many at once: try again later" }

const (
	loginLife       = 10 * time.Minute
	loginPrefix     = "bwk_poll_" // poll tokens have the form of keys, so that they are cut from texts alike
	maxLogins       = 1000        // pending ones
	loginsFullAfter = time.Minute
)

// draftLogin is the request over the defaults, checked.
func draftLogin(n *NewLogin, now time.Time) (Login, error) {
	l := Login{
		State: LoginPending, Name: n.Name, DeviceName: n.DeviceName, Scopes: distinct(n.Scopes), Source: n.Source,
		CreatedAt: now, ExpiresAt: now.Add(loginLife),
	}
	var f faults
	if l.Source == "" {
		l.Source = "cli"
	}
	if !slices.Contains(keySources, l.Source) {
		f.add("source", "unknown source %q", clip(l.Source))
	}
	if l.Name == "" {
		l.Name = l.DeviceName
	}
	if l.Name == "" {
		l.Name = l.Source
	}
	f.text("name", l.Name, 1, maxName)
	f.text("deviceName", l.DeviceName, 0, maxName)
	for _, scope := range l.Scopes {
		if _, err := policy.ParsePermission(scope); err != nil {
			f.add("scopes", "unknown scope %q", clip(scope))
		}
	}
	if n.KeyExpiresAt != nil {
		at := n.KeyExpiresAt.UTC().Truncate(timeUnit)
		l.KeyExpiresAt = &at
		if f.time("expiresAt", at); !now.Before(at) {
			f.add("expiresAt", "must be in the future")
		}
	}
	return l, f.err()
}

// newKey is the key that an approval asks for. It can't use MCP before somebody
// switches that on.
func (l *Login) newKey(a Approval) (NewKey, error) {
	permissions := l.Scopes
	if a.Permissions.Set && !a.Permissions.Null {
		permissions = a.Permissions.Value
	}
	var f faults
	asked := policy.Compile(policy.Subject{Permissions: l.Scopes})
	for _, permission := range permissions {
		if !asked.Can(permission) {
			f.add("permissions", "%q was not asked for", clip(permission))
		}
	}
	return NewKey{
		Name: l.Name, DeviceName: l.DeviceName, Source: l.Source, ExpiresAt: l.KeyExpiresAt, ProjectID: a.ProjectID,
		Permissions: Some(permissions), PolicyPatch: PolicyPatch{MCPActive: Some(false)},
	}, f.err()
}
