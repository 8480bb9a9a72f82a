package keys

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// operation is what a method does, as the audit trail names it, and the
// permission that it takes.
type operation struct{ action, needs string }

// edit is one transaction of a principal, whose rights are read again within
// it: rights that were taken away meanwhile can't be used for an edit that stays.
type edit struct {
	snapshot // within the transaction
	Writer
	action string
}

func (s *Service) newEdit(w Writer, action string) *edit {
	return &edit{snapshot: snapshot{Reader: w, svc: s, now: s.now()}, Writer: w, action: action}
}

// edit checks the permission, runs fn in one transaction and applies what it
// changed to this process. fn may run more than once.
func (s *Service) edit(ctx context.Context, p Principal, op operation, fn func(*edit) error) error {
	_, err := s.editing(ctx, p, op, fn)
	return err
}

// editing is edit, and answers how far what it changed has come.
func (s *Service) editing(ctx context.Context, p Principal, op operation, fn func(*edit) error) (Propagation, error) {
	if err := s.allow(p, op.needs); err != nil {
		return Propagation{}, s.refuse(ctx, p, op, err)
	}
	if err := s.survey(ctx); err != nil {
		return Propagation{}, err
	}
	epoch, err := s.cfg.Store.Edit(ctx, func(w Writer) error {
		e := s.newEdit(w, op.action)
		if err := e.admit(ctx, p, op); err != nil {
			return err
		}
		return fn(e)
	})
	if err != nil {
		return Propagation{}, s.refuse(ctx, p, op, err)
	}
	return s.settle(ctx, epoch), nil
}

// read checks the permission and runs fn over one snapshot.
func (s *Service) read(ctx context.Context, p Principal, op operation, fn func(Reader) error) error {
	if err := s.allow(p, op.needs); err != nil {
		return s.refuse(ctx, p, op, err)
	}
	return s.cfg.Store.Read(ctx, fn)
}

// Need holds a principal to a permission where there is nothing to do: a
// request that could find nothing. A denial is recorded as everywhere.
func (s *Service) Need(ctx context.Context, p Principal, action, permission string) error {
	op := operation{action, permission}
	if err := s.allow(p, op.needs); err != nil {
		return s.refuse(ctx, p, op, err)
	}
	return nil
}

func (s *Service) allow(p Principal, permission string) error {
	switch {
	case !p.Valid():
		return ErrUnauthenticated
	case p.expired(s.cfg.Now()):
		return ErrBadCredential
	case !p.Can(permission, s.cfg.Now()):
		return &PermissionError{Needed: permission}
	}
	return nil
}

// refuse puts a denial into the audit trail and hands the error on.
func (s *Service) refuse(ctx context.Context, p Principal, op operation, err error) error {
	var denied *PermissionError
	if !errors.As(err, &denied) || p.of().kind == principalPlatform { // which has no tenant, so no trail
		return err
	}
	if s.trail.crowded(p.TenantID(), s.cfg.Spool != nil) {
		return s.trail.refuse() // as below
	}
	entry := AuditEntry{
		TenantID: p.TenantID(), Kind: "decision", Action: op.action, Actor: p.Actor(),
		KeyID: p.KeyID(), KeyVersion: p.of().key.Version, Decision: "deny",
		Failed: []string{policy.RulePermission.String()}, Epoch: p.of().epoch,
	}
	if detail, jsonErr := json.Marshal(map[string]any{"needed": denied.Needed, "exceeds": denied.Fields}); jsonErr == nil {
		entry.Detail = detail
	}
	recordErr := s.Record(ctx, entry)
	if errors.Is(recordErr, ErrAuditFull) {
		return recordErr // what can't be recorded is not decided
	}
	if recordErr != nil {
		return errors.Join(err, recordErr)
	}
	return err
}

// as reads the principal's rights as they stand here.
func (e *snapshot) as(ctx context.Context, p Principal) error {
	e.who = p
	if p.IsOperator() {
		tenant, err := e.Tenant(ctx, p.of().tenant.ID)
		e.who = p.in(tenant)
		return err
	}
	if p.of().kind == principalPlatform {
		return nil
	}
	if p.IsSubject() {
		return e.asSubject(ctx, p)
	}
	secrets, err := e.Secrets(ctx, p.of().tenant.ID, p.of().key.ID)
	if err != nil {
		return credentialError(err)
	}
	i := slices.IndexFunc(secrets, func(k KeySecret) bool { return k.Hash == p.of().hash })
	if i < 0 || !secretLive(&secrets[i], e.now) {
		return ErrBadCredential
	}
	key, err := e.Key(ctx, p.of().tenant.ID, p.of().key.ID)
	if err != nil {
		return credentialError(err)
	}
	c, err := loadChain(ctx, e, key)
	if err != nil {
		return credentialError(err)
	}
	if !c.live(e.now) {
		return ErrBadCredential
	}
	e.who, e.layers = c.principal(p.of().hash, p.of().epoch), c.layers
	return nil
}

func secretLive(k *KeySecret, now time.Time) bool {
	return k.ExpiresAt == nil || now.Before(*k.ExpiresAt)
}

// credentialError reads absence as a credential that does not count.
func credentialError(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrBadCredential
	}
	return err
}

// fields are a thing's settings by wire name, for the audit trail: no secret
// and no upstream credential is ever among them.
type fields map[string]any

// log writes the change's audit entry with the fields that differ; it answers
// false, and writes nothing, when none does.
func (e *edit) log(ctx context.Context, subject string, before, after fields) (bool, error) {
	detail := map[string]fields{}
	put := func(side, name string, all fields) {
		if value, ok := all[name]; ok {
			if detail[side] == nil {
				detail[side] = fields{}
			}
			detail[side][name] = value
		}
	}
	for _, name := range names(before, after) {
		if !reflect.DeepEqual(before[name], after[name]) {
			put("before", name, before)
			put("after", name, after)
		}
	}
	if len(detail) == 0 {
		return false, nil
	}
	return true, e.logDetail(ctx, subject, detail)
}

func (e *edit) logDetail(ctx context.Context, subject string, detail any) error {
	id, err := e.svc.ids.next()
	if err != nil {
		return err
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	return e.Record(ctx, AuditEntry{
		ID: id, TenantID: e.who.of().tenant.ID, Time: e.now, Kind: "change", Action: e.action,
		Actor: e.who.Actor(), KeyID: e.who.KeyID(), KeyVersion: e.who.of().key.Version,
		Subject: subject, Decision: "allow", Epoch: e.Epoch(), Detail: []byte(WithoutToken(string(text))),
	})
}

func names(before, after fields) []string {
	var out []string
	for name := range before {
		out = append(out, name)
	}
	for name := range after {
		if _, both := before[name]; !both {
			out = append(out, name)
		}
	}
	return out
}

// now is the time of an edit, as exact as stores keep it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }
