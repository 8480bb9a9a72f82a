package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sort"
	"strings"
	"unicode"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// minSecret is the shortest credential that is looked for in texts; shorter
// ones (a port, "true") would only make the text unreadable.
const minSecret = 6

// redactor takes an upstream's own credentials out of texts that people see:
// a server may repeat them in its error messages or on its standard error.
func redactor(cfg *Config) *strings.Replacer {
	var secrets []string
	for _, set := range []map[string]keys.Secret{cfg.Env, cfg.Headers} {
		for _, s := range set {
			secrets = append(secrets, s.Reveal())
			for line := range strings.Lines(s.Reveal()) { // a text of lines holds one at a time
				secrets = append(secrets, strings.TrimSpace(line))
			}
			if _, token, ok := strings.Cut(s.Reveal(), " "); ok { // "Bearer …"
				secrets = append(secrets, token)
			}
		}
	}
	// The longest first, so that no rest of one stays behind.
	sort.Slice(secrets, func(i, j int) bool { return len(secrets[i]) > len(secrets[j]) })
	var pairs []string
	for _, s := range secrets {
		if len(s) >= minSecret {
			pairs = append(pairs, s, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...)
}

// printable makes one line of at most n runes of a foreign text.
func printable(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if n--; n < 0 {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// problem is an error as Status shows it.
func (u *Upstream) problem(err error) string {
	text := strings.ReplaceAll(err.Error(), ErrDown.Error()+": ", "") // the state says that
	var op *net.OpError
	if !u.cfg.AllowPrivate && errors.As(err, &op) && op.Err != nil {
		// It would tell both ends' addresses.
		text = strings.ReplaceAll(text, op.Error(), op.Op+": "+op.Err.Error())
	}
	return printable(u.redact.Replace(text), 300)
}

// wordedError says its cause in words for a person, who has no use for Go's own.
type wordedError struct {
	words string
	cause error
}

func (e *wordedError) Error() string { return e.words }
func (e *wordedError) Unwrap() error { return e.cause }

// step names what was being done when err came, and says a timeout in words.
func step(what string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		words := "no answer to " + what + " in time"
		if stray, ok := errors.AsType[*strayError](err); ok {
			words += stray.remark()
		}
		return &wordedError{words, err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// broken says in words how a connection ended or was not made, where the
// standard library's text does not.
func broken(err error) error {
	op, dialed := errors.AsType[*net.OpError](err)
	late, _ := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &wordedError{"the connection broke off", err}
	case errors.Is(err, io.EOF):
		return &wordedError{"the connection was closed", err}
	case strings.Contains(err.Error(), "readLoopPeekFailLocked"): // net/http names its own function
		return &wordedError{"it spoke before it was asked: is it an HTTP server?", err}
	case late == nil || !late.Timeout():
		words := strings.TrimPrefix(err.Error(), "net/http: ")
		return &wordedError{strings.TrimPrefix(words, "HTTP/1.x transport connection broken: "), err}
	case dialed && op.Op == "dial" && op.Addr != nil:
		return &wordedError{"connecting to " + op.Addr.String() + " took too long", err}
	}
	return &wordedError{"it took too long to answer", err}
}

// strayError is an error of a child that wrote lines which are no messages:
// they often say what is wrong.
type strayError struct {
	err  error
	line string // the first of them, fit to be shown
}

func (e *strayError) Error() string { return e.err.Error() + e.remark() }
func (e *strayError) Unwrap() error { return e.err }

func (e *strayError) remark() string {
	return "; its standard output has lines that are not JSON-RPC, the first: " + e.line
}
