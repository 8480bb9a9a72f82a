package rest

import (
	"context"
	"reflect"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// endpoint is an operation with a shape's decoding and encoding around it. What
// it reads and answers is data, for the server and the document alike.
type endpoint struct {
	takes   takes
	answers reflect.Type // of the body; nil = none
	instead reflect.Type // of the body of success, where it may be another; without an ETag then
	refuses reflect.Type // of the body of a 422, where it is not just a problem
	tagged  bool         // an ETag comes with the answer, though its body has no version
	serve   func(*call) (any, error)
}

// takes is what a request may carry; anything else in it is refused.
type takes struct {
	body       reflect.Type // nil = none
	optional   bool         // the body may be left out
	replaces   bool         // a field that the body of a change leaves out takes its default
	mediaType  string       // of the body; "" = application/json
	maxBody    int64        // bytes, where more than usual
	query      []param
	ifMatch    bool // a version, in If-Match
	idempotent bool // an Idempotency-Key
}

// param is a parameter of the query.
type param struct {
	name, doc, example string
	kind               string // as in JSON Schema: string, integer, boolean
	low, high, absent  int    // of an integer: its limits, and its default; high also of a text's length
	format             string
	enum               []string
	required           bool
}

// input is how a shape reads the request of an operation.
type input[Req any] struct {
	takes
	read func(*call) (Req, error)
}

// from reads no body.
func from[Req any](read func(*call) (Req, error), query ...param) input[Req] {
	return input[Req]{takes{query: query}, read}
}

// fromJSON reads a body that must be there.
func fromJSON[Body, Req any](read func(*call, Body) (Req, error), query ...param) input[Req] {
	return input[Req]{takes{body: reflect.TypeFor[Body](), query: query}, func(c *call) (req Req, err error) {
		var body Body
		if err := c.json(&body); err != nil {
			return req, err
		}
		return read(c, body)
	}}
}

// maybe lets the body be left out.
func (in input[Req]) maybe() input[Req] {
	in.optional = true
	return in
}

// replacing says that the body of a change replaces what was there: a field that
// it leaves out does not stay as it is.
func (in input[Req]) replacing() input[Req] {
	in.replaces = true
	return in
}

// versioned reads If-Match too.
func (in input[Req]) versioned() input[Req] {
	in.ifMatch = true
	return in
}

// once reads an Idempotency-Key too.
func (in input[Req]) once() input[Req] {
	in.idempotent = true
	return in
}

// refusing says that a 422 has a body of its own.
func (e endpoint) refusing(body reflect.Type) endpoint {
	e.refuses = body
	return e
}

// either says which two bodies a success may have; the other one is without an ETag.
func (e endpoint) either(one, other reflect.Type) endpoint {
	e.answers, e.instead = one, other
	return e
}

// withETag says that the answer carries one.
func (e endpoint) withETag() endpoint {
	e.tagged = true
	return e
}

// on puts a shape's decoding and encoding around an operation. What the input
// does not take is refused before the operation runs.
func on[Req, Resp, Body any](
	operation func(context.Context, keys.Principal, Req) (Resp, error),
	in input[Req],
	encode func(*call, Resp) Body,
) endpoint {
	e := endpoint{takes: in.takes, answers: reflect.TypeFor[Body]()}
	if e.answers == reflect.TypeFor[nothing]() {
		e.answers = nil
	}
	e.serve = func(c *call) (any, error) {
		c.takes = in.takes
		req, err := in.read(c)
		if c.nowhere {
			return nil, worded(c.absent(), c.words)
		}
		if err == nil {
			err = c.unread()
		}
		if err != nil {
			return nil, err
		}
		resp, err := operation(c.r.Context(), c.principal, req)
		if err != nil {
			return nil, worded(err, c.words)
		}
		return encode(c, resp), nil
	}
	return e
}
