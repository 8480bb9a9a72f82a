package rest

import (
	"context"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type startLogin struct {
	login      keys.NewLogin
	remoteAddr string
}

type startedLogin struct {
	login keys.Login
	poll  keys.Secret
}

type pollLogin struct {
	id   string
	poll keys.Secret
	peek bool
}

type polledLogin struct {
	login  keys.Login
	issued *keys.Issued
}

type approveLogin struct {
	id       string
	approval keys.Approval
}

// What a remote host may start: 10 at once, 30 a minute.
const (
	startsBurst = 10
	startsEvery = 2 * time.Second
)

// startLogin needs nobody: what a remote host may start is bounded, and what all
// may start is the Service's to bound.
func (o operations) startLogin(ctx context.Context, _ keys.Principal, r startLogin) (startedLogin, error) {
	if !o.starts.Allow(r.remoteAddr, o.svc.Now()) {
		return startedLogin{}, &keys.BusyError{RetryAfter: startsEvery}
	}
	login, poll, err := o.svc.StartLogin(ctx, r.login)
	return startedLogin{login, poll}, err
}

// pollLogin needs nobody but who holds the poll token.
func (o operations) pollLogin(ctx context.Context, _ keys.Principal, r pollLogin) (polledLogin, error) {
	if r.peek {
		login, err := o.svc.PeekLogin(ctx, r.id, r.poll)
		return polledLogin{login, nil}, err
	}
	login, issued, err := o.svc.PollLogin(ctx, r.id, r.poll)
	return polledLogin{login, issued}, err
}

func (o operations) approveLogin(ctx context.Context, p keys.Principal, r approveLogin) (keys.Key, error) {
	_, key, err := o.svc.ApproveLogin(ctx, p, r.id, r.approval)
	return key, err
}

func (o operations) denyLogin(ctx context.Context, p keys.Principal, id string) (nothing, error) {
	return nothing{}, o.svc.DenyLogin(ctx, p, id)
}
