package rest

import (
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// loginRoutes are a device's sign-in: the device starts and polls it without a
// key, and who may manage keys decides.
func loginRoutes(o operations) []route {
	const all, one = "/v1/cli/login/sessions", wire.LoginPath + "{id}"
	return []route{
		{"POST", all, "startLogin", 201, anyone, "Start a device's sign-in", on(o.startLogin, fromJSON(newLogin), loginStarted)},
		{"GET", one, "pollLogin", 200, anyone, "Ask how far a sign-in has come; once it is approved, the first to ask gets the key", on(o.pollLogin, from(loginPoll, pollTokenParam), o.loginPolled)},
		{"GET", one + "/approval", "getLogin", 200, manageKeys, "Get what a sign-in asks for", on(o.svc.LoginForApproval, byID(), loginApproval)},
		{"POST", one + "/approve", "approveLogin", 200, manageKeys, "Approve a sign-in: its key is made in your organization, within your rights", on(o.approveLogin, fromJSON(loginDecision).maybe(), o.loginApproved)},
		{"POST", one + "/deny", "denyLogin", 200, manageKeys, "Deny a sign-in", on(o.denyLogin, byID(), loginDenied)},
	}
}

var pollTokenParam = param{name: "poll_token", kind: "string", required: true, doc: "What the device got when it started the sign-in.",
	example: "bwk_poll_aB3xYtZ"}

func newLogin(c *call, body wire.StartLogin) (startLogin, error) {
	login, err := body.NewLogin()
	return startLogin{login, c.r.RemoteAddr}, err
}

func loginPoll(c *call) (pollLogin, error) {
	token, err := c.query(pollTokenParam.name)
	if err == nil && token == "" {
		err = badQuery(pollTokenParam.name, "is required: it came when the sign-in started")
	}
	// The answer to HEAD has no body, so the key would be lost in it.
	return pollLogin{c.id(), keys.Secret(token), c.r.Method == http.MethodHead}, err
}

func loginDecision(c *call, body wire.ApproveLogin) (approveLogin, error) {
	approval, err := body.Approval()
	return approveLogin{c.id(), approval}, err
}

func loginStarted(_ *call, s startedLogin) wire.LoginStarted {
	return wire.LoginStartedOf(s.login, s.poll)
}

func (o operations) loginPolled(_ *call, p polledLogin) wire.LoginPolled {
	return wire.LoginPolledOf(p.login, p.issued, o.svc.Now())
}

func loginApproval(_ *call, l keys.Login) wire.LoginApproval { return wire.LoginApprovalOf(l) }

func (o operations) loginApproved(_ *call, k keys.Key) wire.LoginDecided {
	return wire.LoginApprovedOf(k, o.svc.Now())
}

func loginDenied(*call, nothing) wire.LoginDecided { return wire.LoginDenied() }
