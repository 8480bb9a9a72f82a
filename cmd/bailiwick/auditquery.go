package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// auditPageLimit is the most events that a server answers at once.
const auditPageLimit = 200

// auditFlags say which trail is read, and which events of it.
type auditFlags struct {
	place
	tool, decision, kind, ref string
	since, until              string
}

func (f *auditFlags) flags(cmd *cobra.Command) {
	f.selects = true
	f.locate(cmd, "BAILIWICK_AUDIT_URL")
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "only this `key`'s, by id, handle or name; with --url, the key to ask as comes from $BAILIWICK_KEY or --key-file")
	flags.StringVar(&f.tool, "tool", "", "only this `tool`'s, by the name that was asked for")
	flags.StringVar(&f.decision, "decision", "", "only these decisions: allow or deny")
	flags.StringVar(&f.kind, "kind", "", "only this kind of event: decision (a refusal), call or change")
	flags.StringVar(&f.ref, "ref", "", "only the event whose refusal carried this `reference`")
	f.sinceFlag(cmd)
}

func (f *auditFlags) sinceFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.since, "since", "", "only from this `time` on, as in RFC 3339, or as long ago as this: 90m, 24h")
}

func (f *auditFlags) untilFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.until, "until", "", "only before this `time`, as in RFC 3339, or as long ago as this: 90m, 24h")
}

// query reads the flags, all but --key, which takes a look at the keys.
func (f *auditFlags) query(now time.Time) (q keys.AuditQuery, err error) {
	for name, value := range map[string]string{"decision": f.decision, "kind": f.kind} {
		if value != "" && !slices.Contains(choices[name], value) {
			return q, &usageError{"--" + name + " must be one of " + strings.Join(choices[name], ", "), "see --help"}
		}
	}
	q = keys.AuditQuery{Tool: f.tool, Decision: f.decision, Kind: f.kind, Ref: f.ref, Limit: auditPageLimit}
	if q.Since, err = moment("since", f.since, now); err == nil {
		q.Until, err = moment("until", f.until, now)
	}
	if err == nil && f.since != "" && f.until != "" && !q.Since.Before(q.Until) {
		err = &usageError{"--since must be before --until: no event is in between", "the last two hours without the last one are --since 2h --until 1h"}
	}
	return q, err
}

// moment reads a time, or how long ago it was.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, &usageError{"--" + flag + " must be a time like 2026-01-31T12:00:00Z, or how long ago: 90m, 24h", "see --help"}
	}
	if year := at.UTC().Year(); year < 1 || year > 9999 {
		return at, &usageError{"--" + flag + " must be in the years 1 to 9999, in UTC", "see --help"}
	}
	return at, nil
}

// find makes the key's id of --key. An id is taken as it is: the trail knows
// keys that are gone.
func (f *auditFlags) find(ctx context.Context, ring keyring) (string, error) {
	if f.key == "" {
		return "", nil
	}
	if keys.WithoutToken(f.key) != f.key || f.key == "-" {
		return "", &usageError{"--key names the key whose events are wanted, by id, handle or name", "the key to ask as comes from BAILIWICK_KEY or --key-file"}
	}
	if id, err := uuid.Parse(f.key); err == nil && id.String() == f.key {
		return f.key, nil
	}
	k, err := ring.Find(ctx, f.key)
	if errors.Is(err, keys.ErrNotFound) {
		return named(ctx, ring, f.key)
	}
	return k.ID, err
}

// named is the one key of the name, or that had the handle; revoked ones have
// none any more, and events all the same.
func named(ctx context.Context, ring keyring, name string) (string, error) {
	list, err := ring.Keys(ctx, keyQuery{search: name, revoked: true})
	if err != nil {
		return "", err
	}
	found := slices.DeleteFunc(list.Keys, func(k wire.Key) bool { return k.Name != name && k.Handle != name })
	switch len(found) {
	case 0:
		return "", absent(keys.ErrNotFound, "key", name)
	case 1:
		return found[0].ID, nil
	}
	ids := make([]string, len(found))
	for i, k := range found {
		ids[i] = k.ID
	}
	return "", &usageError{fmt.Sprintf("%d keys are named %q", len(found), name), "give the id of one: " + strings.Join(ids, ", ")}
}

// onTrail makes a command that reads a trail.
func (c *cli) onTrail(cmd *cobra.Command, f *auditFlags, fn func(ctx context.Context, ring keyring, q keys.AuditQuery) error) *cobra.Command {
	cmd.Args = exactly()
	_ = cmd.RegisterFlagCompletionFunc("key", f.completing(c, keyHandles))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := f.query(time.Now())
		if err != nil {
			return err
		}
		return f.do(cmd.Context(), c, cmd.Flags(), func(ring keyring) error {
			if q.KeyID, err = f.find(cmd.Context(), ring); err != nil {
				return err
			}
			return fn(cmd.Context(), ring, q)
		})
	}
	return cmd
}

func (l localKeys) Events(ctx context.Context, q keys.AuditQuery) (wire.AuditPage, error) {
	limit := q.Limit
	q.Limit++
	entries, err := l.svc.AuditEvents(ctx, l.p, q)
	if errors.Is(err, keys.ErrUnavailable) {
		err = &awayError{err}
	}
	return wire.AuditPageOf(entries, limit), err
}

// awayError is a trail that can't be read now, and may be in a while.
type awayError struct{ error }

func (e *awayError) Unwrap() error { return e.error }

func (r remoteKeys) Events(ctx context.Context, q keys.AuditQuery) (page wire.AuditPage, err error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	for name, value := range map[string]string{"key": q.KeyID, "tool": q.Tool, "decision": q.Decision, "kind": q.Kind, "ref": q.Ref,
		"cursor": q.Before + q.After, "since": queryTime(q.Since), "until": queryTime(q.Until)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Oldest {
		query.Set("order", "oldest")
	}
	got, err := r.server.ask(ctx, apiRequest{method: http.MethodGet, path: "/api/audit", query: query})
	switch {
	case ctx.Err() != nil:
		return page, ctx.Err()
	case err != nil:
		return page, &awayError{err}
	}
	err = r.noTenant(r.server.read(got, &page))
	if err != nil && (got.status >= 500 || got.status == http.StatusTooManyRequests) {
		err = &awayError{err}
	}
	return page, err
}

func queryTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}
