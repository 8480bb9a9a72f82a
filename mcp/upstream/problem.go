package upstream

import (
	"context"
	"errors"
	"fmt"
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

// step names what was being done when err came, and says a timeout in words.
func step(what string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer to %s in time: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
