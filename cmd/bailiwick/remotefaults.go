package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// refusal is the one table from a server's answers to errors: where the local
// store has an error for it, that very one.
func (r *remote) refusal(a reply) error {
	var p wire.Problem
	if a.status/100 == 3 {
		return r.redirected(a)
	}
	if a.kind() != "application/problem+json" || json.Unmarshal(a.data, &p) != nil || p.Detail == "" {
		return r.notBailiwick(a)
	}
	p.Detail, p.Errors = r.shown(p.Detail), r.shownFields(p.Errors)
	switch a.status {
	case http.StatusUnauthorized:
		return withHint(fmt.Errorf("%w: the key is unknown to %s, revoked, expired or disabled", keys.ErrBadCredential, r.base),
			"give a whole key of that server with BAILIWICK_KEY, --key-file FILE, or --key - and the key on standard input")
	case http.StatusForbidden:
		return forbidden(p)
	case http.StatusNotFound:
		return keys.ErrNotFound
	case http.StatusConflict:
		if len(p.Errors) > 0 {
			return &keys.ConflictError{Field: p.Errors[0].Field, Problem: p.Errors[0].Problem}
		}
		return &keys.ConflictError{Problem: p.Detail}
	case http.StatusPreconditionFailed:
		return withHint(keys.ErrVersion, "somebody else has changed it: look at it again, then repeat")
	case http.StatusUnprocessableEntity:
		if len(p.Errors) > 0 {
			return &keys.InvalidError{Fields: p.Errors}
		}
		return errors.New(p.Detail)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return withHint(fmt.Errorf("%s can't answer now: %s", r.base, p.Detail), "try again in a moment")
	case http.StatusInternalServerError:
		return withHint(fmt.Errorf("%s has failed: %s", r.base, p.Detail), "its log says more")
	}
	return withHint(fmt.Errorf("%s refuses the request: %s", r.base, p.Detail),
		fmt.Sprintf("the server may be of another version than this program, which is %s", version))
}

func forbidden(p wire.Problem) error {
	hint := ""
	switch p.Code {
	case "permission_denied":
		hint = "use a key that has this permission, or give it to the one in use: bailiwick keys update KEY --permissions ..."
	case "exceeds_rights":
		if faults := (&keys.InvalidError{Fields: p.Errors}); len(p.Errors) > 0 {
			p.Detail += ": " + allFaults(faults)
			hint = "use a key that has all the rights that this one would have"
		} // without fields it is no key that is made, and the detail says what to do
	}
	return withHint(errors.New(p.Detail), hint)
}

// redirected names where to, which is for a person to judge.
func (r *remote) redirected(a reply) error {
	hint := "give the right base URL with --url"
	if to, err := url.Parse(a.header.Get("Location")); err == nil && to.Host != "" {
		hint = "if that is right, give the base URL there with --url: " + r.shown(to.Scheme+"://"+to.Host)
	}
	return withHint(fmt.Errorf("%s redirects elsewhere (%d), where the key does not go", r.base, a.status), hint)
}

func (r *remote) notBailiwick(a reply) error {
	return withHint(fmt.Errorf("what answers at %s is no Bailiwick server, or of another version: status %d", r.base, a.status),
		"see that --url is the server's base URL, with the right one of http:// and https://")
}

// unanswered says why there is no answer. The texts of the standard library
// repeat the URL; only the cause is kept.
func (r *remote) unanswered(err error) error {
	var (
		asking      *url.Error
		unknown     *net.DNSError
		certificate *tls.CertificateVerificationError
	)
	if errors.As(err, &asking) {
		err = asking.Err
	}
	uncertain := "what was asked may have been done all the same: look before you repeat it"
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return withHint(fmt.Errorf("nothing answers at %s: connection refused", r.base),
			"see that the server runs and that --url names it; without --url, the store on this machine is used")
	case errors.As(err, &unknown):
		return withHint(fmt.Errorf("%s can't be reached: %w", r.base, unknown), "see that --url has the right name")
	case errors.As(err, &certificate):
		return withHint(fmt.Errorf("%s is not trusted: %w", r.base, certificate.Err),
			"where its certificate is of your own making, SSL_CERT_FILE names the file of those to trust")
	case errors.Is(err, http.ErrSchemeMismatch):
		return withHint(fmt.Errorf("%s: %w", r.base, err), "write http:// in --url")
	case errors.Is(err, errTooLarge):
		return withHint(fmt.Errorf("%s: %w: more than %d bytes", r.base, err, r.maxAnswer), "ask for less, with --search")
	case timedOut(err):
		return withHint(fmt.Errorf("%s does not answer: %w", r.base, err), uncertain)
	case broken(err):
		return withHint(fmt.Errorf("%s broke off before its answer: %w", r.base, err), uncertain)
	}
	return withHint(fmt.Errorf("%s can't be reached: %w", r.base, err), "see that the server runs and that --url names it")
}

// shown is a text of the server's as it may be shown: bounded, and without the
// key, whatever the server says.
func (r *remote) shown(text string) string {
	const most = 500
	text = strings.ReplaceAll(text, r.token.Reveal(), "[key]")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func (r *remote) shownFields(fields []policy.Problem) []policy.Problem {
	out := make([]policy.Problem, len(fields))
	for i, f := range fields {
		out[i] = policy.Problem{Field: r.shown(f.Field), Problem: r.shown(f.Problem)}
	}
	return out
}
