package rest

import (
	"context"
	"errors"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// explanation is what is asked about a key or a draft: of one tool, of all of
// them, or of all of them in comparison.
type explanation struct {
	about keys.Question
	tool  string         // "" = all
	from  *keys.Question // what it is compared with, as the one before; nil = nothing
	to    *keys.Question // as from, as the one after
	key   string         // the field that names the key; "" = the path does
}

func (o operations) explain(ctx context.Context, p keys.Principal, r explanation) (wire.Explained, error) {
	st, err := o.svc.Standing(ctx, p, r.about)
	if err != nil {
		return wire.Explained{}, absentKey(err, r.key)
	}
	offer, err := o.offered(ctx, p)
	if err != nil {
		return wire.Explained{}, err
	}
	switch {
	case r.tool != "":
		return wire.ExplainedAs(wire.ExplanationOf(&st, offer, r.tool)), nil
	case r.to != nil:
		to, err := o.svc.Standing(ctx, p, *r.to)
		if err != nil {
			return wire.Explained{}, absentKey(err, "against")
		}
		return wire.ExplainedAs(wire.DifferenceOf(&st, &to, offer)), nil
	case r.from != nil:
		from, err := o.svc.Standing(ctx, p, *r.from)
		if err != nil {
			return wire.Explained{}, inField(err, "version", "fromVersion")
		}
		return wire.ExplainedAs(wire.DifferenceOf(&from, &st, offer)), nil
	}
	return wire.ExplainedAs(wire.MatrixOf(&st, offer)), nil
}

func (o operations) offered(ctx context.Context, p keys.Principal) (keys.Offer, error) {
	if o.offer == nil {
		return keys.NewOffer(nil), nil
	}
	return o.offer(ctx, p)
}

// absentKey is a fault of the field that names the key; of the path there is none.
func absentKey(err error, field string) error {
	if field == "" || !errors.Is(err, keys.ErrNotFound) {
		return err
	}
	return &keys.InvalidError{Fields: []policy.Problem{{Field: field, Problem: "no such key: it takes an id, or the handle of one that is not revoked"}}}
}

// inField says where the request has what is wrong.
func inField(err error, was, is string) error {
	var invalid *keys.InvalidError
	if errors.As(err, &invalid) {
		for i := range invalid.Fields {
			if invalid.Fields[i].Field == was {
				invalid.Fields[i].Field = is
			}
		}
	}
	return err
}
