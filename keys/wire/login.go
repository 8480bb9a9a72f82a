package wire

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const loginInterval = 2 // seconds between two polls

// LoginPath is where a device's sign-in is polled; what is decided about it is below.
const LoginPath = "/v1/cli/login/sessions/"

// StartLogin is the body of a device's sign-in, all of which may be left out.
type StartLogin struct {
	// DeviceName is free text.
	DeviceName keys.Opt[string] `json:"device_name" doc:"The device that signs in." maxLength:"200" example:"build-server"`
	// Name is the key's.
	Name keys.Opt[string] `json:"name" doc:"What the key will be called; left out, the device's name." maxLength:"200" example:"Build server"`
	// Scopes are what is asked for; absent is nothing.
	Scopes keys.Opt[[]string] `json:"scopes" doc:"What the key is to do: <resource>:read, <resource>:write (which includes read), or * (everything in the organization); left out, nothing." pattern:"^([*]|(api_keys|projects|instances|presets|audit|approvals|tenant|tenants):(read|write))$" default:"[]" nonnull:"true" sample:"true" example:"[\"projects:read\"]"`
	// Source is a key's.
	Source keys.Opt[string] `json:"source" doc:"What kind of program signs in." enum:"dashboard,api,cli,agent,mcp" default:"cli" example:"cli"`
	// ExpiresAt is the key's, not the sign-in's.
	ExpiresAt keys.Opt[string] `json:"expires_at" doc:"From when on the key will no longer count (RFC 3339, in the future); absent or null is never." format:"date-time" example:"2030-01-31T12:00:00Z"`
}

// NewLogin is the domain's request. The error is a *keys.InvalidError.
func (s StartLogin) NewLogin() (keys.NewLogin, error) {
	permissions, faults := SpellingCapydb.read("scopes", s.Scopes.Value)
	if s.Scopes.Null {
		faults = append(faults, policy.Problem{Field: "scopes", Problem: "must be a list: leave it out, or send [], for none"})
	}
	expires, err := parseTime("expires_at", s.ExpiresAt)
	if err != nil {
		return keys.NewLogin{}, err
	}
	if faults != nil {
		return keys.NewLogin{}, &keys.InvalidError{Fields: faults}
	}
	return keys.NewLogin{Name: s.Name.Value, DeviceName: s.DeviceName.Value, Scopes: permissions,
		Source: s.Source.Value, KeyExpiresAt: expires}, nil
}

// LoginStarted is what a device needs to know of its sign-in.
type LoginStarted struct {
	// ID is no secret: who approves gets it.
	ID string `json:"id" doc:"The sign-in's id, which is no secret." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	// PollToken is a secret of the device.
	PollToken string `json:"poll_token" doc:"What only this device knows; it is shown this once." example:"bwk_poll_aB3xYtZ"`
	// ExpiresAt is the sign-in's end.
	ExpiresAt time.Time `json:"expires_at" doc:"When the sign-in ends, collected or not." example:"2026-01-31T12:10:00Z"`
	// IntervalSeconds is a pace.
	IntervalSeconds int `json:"interval_seconds" doc:"How long to wait between two polls." example:"2"`
	// ApprovePath is on this server.
	ApprovePath string `json:"approve_path" doc:"Where somebody with api_keys:write approves it, by POST." example:"/v1/cli/login/sessions/0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d/approve"`
}

// LoginStartedOf shows the poll token.
func LoginStartedOf(l keys.Login, poll keys.Secret) LoginStarted {
	return LoginStarted{ID: l.ID, PollToken: poll.Reveal(), ExpiresAt: l.ExpiresAt, IntervalSeconds: loginInterval,
		ApprovePath: LoginPath + l.ID + "/approve"}
}

// LoginPolled is how far a sign-in has come, for its device.
type LoginPolled struct {
	// Status is a keys.LoginState.
	Status string `json:"status" doc:"How far it has come. Of one that is approved, the first poll gets the key; to later ones it is consumed." enum:"pending,approved,denied,consumed" example:"approved"`
	// APIKey comes with the plaintext.
	APIKey *OrganizationKey `json:"api_key" doc:"The key, on the one poll that gets it."`
	// PlaintextAPIKey is the secret.
	PlaintextAPIKey *string `json:"plaintext_api_key" doc:"The key itself, on the one poll that gets it." example:"bwk_live_aB3xYtZ"`
}

// LoginPolledOf shows the plaintext of what was issued, if anything was.
func LoginPolledOf(l keys.Login, issued *keys.Issued, now time.Time) LoginPolled {
	out := LoginPolled{Status: string(l.State)}
	if issued != nil {
		key, plaintext := OrganizationKeyOf(issued.Key, now), issued.Secret.Reveal()
		out.APIKey, out.PlaintextAPIKey = &key, &plaintext
	}
	return out
}

// LoginApproval is what a sign-in asks for, for who decides.
type LoginApproval struct {
	// ID is the sign-in's.
	ID string `json:"id" doc:"The sign-in's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	// Status is a keys.LoginState.
	Status string `json:"status" doc:"How far it has come." enum:"pending,approved,denied,consumed" example:"pending"`
	// Name is the key's.
	Name string `json:"name" doc:"What the key will be called." minLength:"1" maxLength:"200" example:"Build server"`
	// DeviceName is what the device says of itself.
	DeviceName *string `json:"device_name" doc:"The device, by its own account." maxLength:"200" example:"build-server"`
	// Scopes are never null.
	Scopes []string `json:"scopes" doc:"What the key is to do." pattern:"^([*]|(api_keys|projects|instances|presets|audit|approvals|tenant|tenants):(read|write))$" example:"[\"projects:read\"]"`
	// Source is a key's.
	Source string `json:"source" doc:"What kind of program signs in." enum:"dashboard,api,cli,agent,mcp" example:"cli"`
	// KeyExpiresAt is the key's end.
	KeyExpiresAt *time.Time `json:"key_expires_at" doc:"From when on the key will no longer count; null is never." example:"2030-01-31T12:00:00Z"`
	// CreatedAt is the sign-in's start.
	CreatedAt time.Time `json:"created_at" doc:"When the sign-in began." example:"2026-01-31T12:00:00Z"`
	// ExpiresAt is the sign-in's end.
	ExpiresAt time.Time `json:"expires_at" doc:"When the sign-in ends, collected or not." example:"2026-01-31T12:10:00Z"`
}

// LoginApprovalOf is the wire form of a sign-in for who decides.
func LoginApprovalOf(l keys.Login) LoginApproval {
	return LoginApproval{ID: l.ID, Status: string(l.State), Name: l.Name, DeviceName: optional(l.DeviceName),
		Scopes: SpellingCapydb.write(l.Scopes), Source: l.Source, KeyExpiresAt: l.KeyExpiresAt,
		CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt}
}

// ApproveLogin is the body of an approval, which may be left out.
type ApproveLogin struct {
	// Scopes that are absent are those asked for.
	Scopes keys.Opt[[]string] `json:"scopes" doc:"Less than was asked for; left out or null, all of it." pattern:"^([*]|(api_keys|projects|instances|presets|audit|approvals|tenant|tenants):(read|write))$" sample:"true" example:"[\"projects:read\"]"`
	// ProjectID confines the key.
	ProjectID keys.Opt[string] `json:"project_id" doc:"Confines the key to one project, for good." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
}

// Approval is the domain's request. The error is a *keys.InvalidError.
func (a ApproveLogin) Approval() (keys.Approval, error) {
	permissions, faults := SpellingCapydb.read("scopes", a.Scopes.Value)
	faults = append(faults, emptyProject(a.ProjectID)...)
	if faults != nil {
		return keys.Approval{}, &keys.InvalidError{Fields: faults}
	}
	out := keys.Approval{ProjectID: a.ProjectID.Value}
	if a.Scopes.Set && !a.Scopes.Null {
		out.Permissions = keys.Some(permissions)
	}
	return out, nil
}

// LoginDecided answers who decided.
type LoginDecided struct {
	// Status is a keys.LoginState.
	Status string `json:"status" doc:"What was decided." enum:"approved,denied" example:"approved"`
	// APIKey is without its secret, which only the device gets.
	APIKey *OrganizationKey `json:"api_key" doc:"The key that was made, of which only the device gets the plaintext; null where it was denied."`
}

// LoginApprovedOf answers an approval.
func LoginApprovedOf(k keys.Key, now time.Time) LoginDecided {
	key := OrganizationKeyOf(k, now)
	return LoginDecided{Status: string(keys.LoginApproved), APIKey: &key}
}

// LoginDenied answers a denial.
func LoginDenied() LoginDecided { return LoginDecided{Status: string(keys.LoginDenied)} }
