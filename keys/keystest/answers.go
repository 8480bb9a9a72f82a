package keystest

import (
	"bytes"
	"context"
	"maps"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func cloneAnswer(a keys.Answer) keys.Answer {
	a.Sealed, a.ExpiresAt = bytes.Clone(a.Sealed), stamp(a.ExpiresAt)
	return a
}

func (r *reader) Answer(ctx context.Context, tenantID, principal, key string) (keys.Answer, error) {
	a, ok := r.state.answers[answerID{tenantID, principal, key}]
	return found(ctx, r, a, ok, cloneAnswer)
}

func (w *writer) PutAnswer(ctx context.Context, a *keys.Answer) error {
	_, owner := w.state.tenants[a.TenantID]
	if err := w.insertable(ctx, owner, false); err != nil {
		return err
	}
	if err := checkTexts(a); err != nil {
		return err
	}
	*a = cloneAnswer(*a)
	w.state.answers[answerID{a.TenantID, a.Principal, a.Key}] = cloneAnswer(*a)
	w.beside = true
	return nil
}

func (w *writer) DropAnswers(ctx context.Context, expired time.Time) (int, error) {
	if err := w.check(ctx); err != nil {
		return 0, err
	}
	before := len(w.state.answers)
	maps.DeleteFunc(w.state.answers, func(_ answerID, a keys.Answer) bool { return !a.ExpiresAt.After(stamp(expired)) })
	n := before - len(w.state.answers)
	w.beside = w.beside || n > 0
	return n, nil
}
