package keys

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Idempotency lets an operation that answers a secret be asked again: within 10
// minutes the same principal with the same Key and Digest gets the same answer,
// without a second edit (draft-ietf-httpapi-idempotency-key-header-07). The
// permission, and the key's rights, are needed each time.
type Idempotency struct {
	Key    string   // 1 to 255 visible ASCII characters; "" = none
	Digest [32]byte // of the request: operation, path, body
}

// IdempotencyError is a key that can't be used for this request now. Nothing
// was changed by it.
type IdempotencyError struct {
	Kind       IdempotencyKind
	RetryAfter time.Duration // 0 = never
}

// IdempotencyKind tells why an idempotency key can't be used.
type IdempotencyKind string

// The kinds of IdempotencyError.
const (
	IdempotencyMismatch IdempotencyKind = "mismatch"  // it was used for another request
	IdempotencyInFlight IdempotencyKind = "in-flight" // the request is being answered by this process
)

func (e *IdempotencyError) Error() string {
	if e.Kind == IdempotencyInFlight {
		return "a request with this idempotency key is being answered: try again"
	}
	return "this idempotency key was used for another request: use a new one"
}

const (
	maxIdempotencyKey = 255
	answerLife        = 10 * time.Minute
	inFlightWait      = time.Second
)

var errMismatch = &IdempotencyError{Kind: IdempotencyMismatch}

// sealedAnswer is what an answer is kept as.
type sealedAnswer struct {
	Key   Key
	Token string
	// Done is known only after the edit; until then, and where it could not be
	// written any more, who asks again is told what is so when it asks.
	Done *Propagation
}

// issue runs one edit that gives a key a secret, or answers what it answered
// before under the same idempotency key. The answer is written with the edit;
// a failed edit leaves none. target is the id of the key, "" for a new one.
func (s *Service) issue(ctx context.Context, p Principal, op operation, target string, id Idempotency, fn func(*edit, Secret) (Key, error)) (Issued, error) {
	a, err := newAnswer(p, op, target, id)
	if err != nil {
		return Issued{}, err
	}
	token, err := NewToken(s.cfg.Rand, s.cfg.TokenPrefix)
	if err != nil {
		return Issued{}, err
	}
	done, err := s.answering.begin(a)
	if err != nil {
		return Issued{}, err
	}
	defer done()
	var (
		before *sealedAnswer
		issued Issued
		kept   Answer
	)
	propagation, err := s.editing(ctx, p, op, func(e *edit) (err error) {
		if before, err = e.answered(ctx, a); before != nil || err != nil {
			return err
		}
		key, err := fn(e, token)
		if err != nil {
			return err
		}
		issued = Issued{Key: key, Secret: token}
		kept, err = e.keepAnswer(ctx, a, issued)
		return err
	})
	switch {
	case err != nil:
		return Issued{}, err
	case before == nil && a != nil:
		s.completeAnswer(ctx, kept, issued, propagation)
	case before != nil:
		if issued = (Issued{Key: before.Key, Secret: Secret(before.Token)}); before.Done != nil {
			note(ctx, *before.Done)
		}
	}
	return issued, nil
}

// newAnswer is the place of an answer; nil without an idempotency key.
func newAnswer(p Principal, op operation, target string, id Idempotency) (*Answer, error) {
	if id.Key == "" {
		return nil, nil
	}
	if len(id.Key) > maxIdempotencyKey || strings.ContainsFunc(id.Key, notGraphic) || holdsToken(id.Key) {
		return nil, &InvalidError{Fields: []policy.Problem{{Field: "Idempotency-Key",
			Problem: fmt.Sprintf("must be 1 to %d visible ASCII characters, and no API key", maxIdempotencyKey)}}}
	}
	return &Answer{
		TenantID: p.TenantID(), Principal: p.identity(), Key: id.Key,
		Digest: sha256.Sum256(fmt.Appendf(nil, "%q %q %x", op.action, target, id.Digest)),
	}, nil
}

// identity names a principal so that no key, subject or operator is taken for
// one of another kind.
func (p Principal) identity() string {
	if p.of().kind == principalKey {
		return "key " + p.of().key.ID
	}
	return fmt.Sprintf("%d %s", p.of().kind, p.Actor())
}

// row is what the sealed answer is bound to.
func (a *Answer) row() string {
	return fmt.Sprintf("answer %q %q %q %x", a.TenantID, a.Principal, a.Key, a.Digest)
}

// answered opens what was answered before; nil where there is nothing, or
// nothing that still counts.
func (e *edit) answered(ctx context.Context, a *Answer) (*sealedAnswer, error) {
	if a == nil {
		return nil, nil
	}
	kept, err := e.Answer(ctx, a.TenantID, a.Principal, a.Key)
	if isNotFound(err) || err == nil && !e.now.Before(kept.ExpiresAt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(kept.Digest[:], a.Digest[:]) != 1 {
		return nil, errMismatch
	}
	var before sealedAnswer
	if err := e.svc.unseal(a.row(), kept.Sealed, &before); err != nil {
		return nil, fmt.Errorf("opening an answer that was kept: %w", err)
	}
	if err := e.mayHave(ctx, before.Key.ID); err != nil {
		return nil, err
	}
	return &before, nil
}

// mayHave holds who asks again to the rights of now: those of the key, or its
// own, may be others than when the key got its secret.
func (e *edit) mayHave(ctx context.Context, id string) error {
	key, err := visibleKey(ctx, e, e.who, id)
	if err != nil {
		return err
	}
	return e.holds(ctx, &key)
}

// keepAnswer writes the answer, and deletes those that have expired.
func (e *edit) keepAnswer(ctx context.Context, a *Answer, issued Issued) (kept Answer, err error) {
	if a == nil {
		return kept, nil
	}
	kept = *a
	kept.ExpiresAt = e.now.Add(answerLife)
	kept.Sealed, err = e.svc.seal(a.row(), sealedAnswer{Key: issued.Key, Token: issued.Secret.Reveal()})
	if err != nil {
		return kept, err
	}
	if _, err := e.DropAnswers(ctx, e.now); err != nil {
		return kept, err
	}
	return kept, e.PutAnswer(ctx, &kept)
}

// completeAnswer keeps how far the edit had come, too, so that who asks again
// gets the same bytes. The edit is committed and answered without it as well.
func (s *Service) completeAnswer(ctx context.Context, kept Answer, issued Issued, done Propagation) {
	var err error
	kept.Sealed, err = s.seal(kept.row(), sealedAnswer{Key: issued.Key, Token: issued.Secret.Reveal(), Done: &done})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	_, _ = s.cfg.Store.Edit(ctx, func(w Writer) error { return w.PutAnswer(ctx, &kept) })
}

// answering are the requests with an idempotency key that this process is at.
type answering struct {
	mu sync.Mutex
	at map[answerPlace][32]byte
}

type answerPlace struct{ tenantID, principal, key string }

func (w *answering) begin(a *Answer) (done func(), err error) {
	if a == nil {
		return func() {}, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	place := answerPlace{a.TenantID, a.Principal, a.Key}
	if digest, busy := w.at[place]; busy && digest != a.Digest {
		return nil, errMismatch
	} else if busy {
		return nil, &IdempotencyError{Kind: IdempotencyInFlight, RetryAfter: inFlightWait}
	}
	if w.at == nil {
		w.at = map[answerPlace][32]byte{}
	}
	w.at[place] = a.Digest
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.at, place)
	}, nil
}
