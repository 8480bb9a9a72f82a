package rest

import (
	"crypto/sha256"
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

const idempotencyHeader = "Idempotency-Key"

// idempotency is the request's Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header-07), bound to the request as a
// whole. The body must have been read.
func (c *call) idempotency() (keys.Idempotency, error) {
	if !c.takes.idempotent {
		panic("rest: the endpoint does not take " + idempotencyHeader)
	}
	values := c.r.Header.Values(idempotencyHeader)
	switch {
	case len(values) == 0:
		return keys.Idempotency{}, nil
	case len(values) > 1:
		return keys.Idempotency{}, malformed("malformed_header", idempotencyHeader+" is there more than once")
	case values[0] == "":
		return keys.Idempotency{}, malformed("malformed_header", idempotencyHeader+" is empty: leave it out, or send 1 to 255 visible ASCII characters")
	}
	h := sha256.New()
	for _, part := range []string{c.r.Method, c.r.URL.EscapedPath(), c.r.Header.Get("If-Match")} {
		h.Write([]byte(part + "\n"))
	}
	h.Write(c.read)
	return keys.Idempotency{Key: values[0], Digest: [32]byte(h.Sum(nil))}, nil
}

// onceOnly binds a new key, where it was read without an error, to the request's
// Idempotency-Key.
func (c *call) onceOnly(n keys.NewKey, err error) (keys.NewKey, error) {
	if err == nil {
		n.Idempotency, err = c.idempotency()
	}
	return n, err
}

// noIdempotency refuses the header where it would be ignored and that matters:
// asked again, the operation would be done again.
func (c *call) noIdempotency() error {
	if c.takes.idempotent || len(c.r.Header.Values(idempotencyHeader)) == 0 ||
		c.r.Method != http.MethodPost && c.r.Method != http.MethodPatch {
		return nil
	}
	return malformed("malformed_header", idempotencyHeader+" is not supported by this operation")
}

func idempotencyProblem(e *keys.IdempotencyError) wire.Problem {
	if e.Kind == keys.IdempotencyInFlight {
		return wire.NewProblem(http.StatusConflict, "idempotency_in_flight", e.Error())
	}
	return wire.NewProblem(http.StatusUnprocessableEntity, "idempotency_mismatch", e.Error())
}
