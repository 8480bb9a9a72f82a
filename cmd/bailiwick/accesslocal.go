package main

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// offer is what the store's instances have announced last, and the server's own
// tools.
func (l localKeys) offer(ctx context.Context) (keys.Offer, error) {
	gateway, err := mcp.New(mcp.Config{Service: l.svc, Authenticate: nobody, Version: version})
	if err != nil {
		return keys.Offer{}, err
	}
	return gateway.StoredOffer(ctx, l.p)
}

func (l localKeys) standing(ctx context.Context, q accessQuery) (keys.Standing, keys.Offer, error) {
	question, err := q.body.Question()
	if err != nil {
		return keys.Standing{}, keys.Offer{}, err
	}
	question.Version = q.version
	st, err := l.svc.Standing(ctx, l.p, question)
	if err != nil {
		return st, keys.Offer{}, absent(err, "key", q.body.Key.Value)
	}
	offer, err := l.offer(ctx)
	return st, offer, err
}

func (l localKeys) Explain(ctx context.Context, q accessQuery) (wire.Explanation, error) {
	st, offer, err := l.standing(ctx, q)
	if err != nil {
		return wire.Explanation{}, err
	}
	return wire.ExplanationOf(&st, offer, q.body.Tool.Value), nil
}

func (l localKeys) Matrix(ctx context.Context, q accessQuery) (wire.Matrix, error) {
	st, offer, err := l.standing(ctx, q)
	if err != nil {
		return wire.Matrix{}, err
	}
	return wire.MatrixOf(&st, offer), nil
}

func (l localKeys) Difference(ctx context.Context, q accessQuery) (wire.Difference, error) {
	st, offer, err := l.standing(ctx, q)
	if err != nil {
		return wire.Difference{}, err
	}
	if q.against != "" {
		other, err := l.svc.Standing(ctx, l.p, keys.Question{Key: q.against, At: st.At})
		if err != nil {
			return wire.Difference{}, absent(err, "key", q.against)
		}
		return wire.DifferenceOf(&st, &other, offer), nil
	}
	from, err := l.svc.Standing(ctx, l.p, keys.Question{Key: st.Key.ID, Version: q.from, At: st.At})
	if err != nil {
		return wire.Difference{}, err
	}
	return wire.DifferenceOf(&from, &st, offer), nil
}

func (l localKeys) Decision(ctx context.Context, ref string) (wire.Explanation, error) {
	e, err := l.svc.DecisionByRef(ctx, l.p, ref)
	return wire.RecordedDecision(e), err
}
