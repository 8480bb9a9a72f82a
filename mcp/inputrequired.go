package mcp

import (
	"encoding/json"
	"errors"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	typeComplete      = string(mcpgo.ResultTypeComplete)
	typeInputRequired = string(mcpgo.ResultTypeInputRequired)
)

// What one result may ask for.
const (
	maxInputRequests = 64
	maxUpstreamState = 1 << 20 // bytes; it goes to the client and back
)

// takesInput tells the requests that may be answered with questions first
// (2026-07-28, multi round-trip requests).
func takesInput(method string) bool {
	switch method {
	case string(mcpgo.MethodToolsCall), string(mcpgo.MethodPromptsGet), string(mcpgo.MethodResourcesRead):
		return true
	}
	return false
}

// inputRequest is one question of a result.
type inputRequest struct {
	key    string
	method string
	params json.RawMessage // an object; nil = absent
}

// inputRequired is a result of 2026-07-28 that asks for input first.
type inputRequired struct {
	raw      json.RawMessage
	requests []inputRequest
	state    string
	hasState bool
}

var inputRequiredKeys = []string{"inputRequests", "requestState"}

// readInputRequired reads such a result strictly: a client that takes keys
// whatever their case must not see other questions than were checked, nor the
// upstream's state unsealed.
func readInputRequired(raw json.RawMessage) (in inputRequired, err error) {
	list, err := rawjson.List(raw)
	if err != nil {
		return in, errors.New("it is no object")
	}
	if problem := strictKeys(list, inputRequiredKeys); problem != "" {
		return in, errors.New(problem)
	}
	in.raw = raw
	for _, m := range list {
		switch m.Key {
		case "inputRequests":
			if in.requests, err = readInputRequests(m.Value); err != nil {
				return in, err
			}
		case "requestState":
			if m.Value[0] != '"' || len(m.Value) > maxUpstreamState {
				return in, fmt.Errorf("requestState is not a string of at most %d bytes", maxUpstreamState)
			}
			in.state, in.hasState = rawjson.Text(m.Value), true
		}
	}
	if len(in.requests) == 0 && !in.hasState {
		return in, errors.New("it asks for nothing")
	}
	return in, nil
}

func readInputRequests(raw json.RawMessage) ([]inputRequest, error) {
	list, err := rawjson.List(raw)
	switch {
	case err != nil:
		return nil, errors.New("inputRequests is not an object")
	case len(list) > maxInputRequests:
		return nil, fmt.Errorf("more than %d inputRequests", maxInputRequests)
	}
	out := make([]inputRequest, 0, len(list))
	seen := map[string]bool{}
	for _, m := range list {
		parts, err := rawjson.List(m.Value)
		if err != nil || seen[m.Key] || strictKeys(parts, topKeys) != "" {
			return nil, errors.New("inputRequests has one that is not a request")
		}
		seen[m.Key] = true
		r := inputRequest{key: m.Key, method: rawjson.Text(rawjson.Field(m.Value, "method")), params: rawjson.Field(m.Value, "params")}
		if r.params != nil && !rawjson.IsObject(r.params) {
			return nil, errors.New("inputRequests has one whose params are not an object")
		}
		out = append(out, r)
	}
	return out, nil
}

// lack is what the client would have to declare for these questions; an error
// is one that no server may ask.
func (in inputRequired) lack(can abilities) (needs, error) {
	missing := needs{}
	for _, r := range in.requests {
		if !can.lack(missing, r.method, r.params) {
			return nil, errors.New("inputRequests has a method that is not elicitation/create, sampling/createMessage or roots/list")
		}
		if problem := readInTwo(r.params); problem != "" {
			return nil, errors.New("inputRequests has one in whose params " + problem)
		}
	}
	return missing, nil
}

// forClient is the result with the state that the client is to send back, and
// else as it came, but for what withoutContext takes out.
func (in inputRequired) forClient(state string) json.RawMessage {
	raw := in.raw
	if !in.hasState && state != "" { // of ours alone
		raw = rawjson.Prepend(raw, "requestState", []byte(`""`))
	}
	out, _ := rawjson.Edit(raw, func(key string, value []byte) []byte {
		switch key {
		case "requestState":
			return rawjson.Quote(state)
		case "inputRequests":
			edited, _ := rawjson.Edit(value, func(_ string, request []byte) []byte {
				method := rawjson.Text(rawjson.Field(request, "method"))
				edited, _ := rawjson.Edit(request, func(key string, value []byte) []byte {
					if key == "params" {
						return withoutContext(method, value)
					}
					return value
				})
				return edited
			})
			return edited
		}
		return value
	})
	return out
}

// inputResult is a result of our own that asks for input.
func inputResult(requests []inputRequest, state string) json.RawMessage {
	out := []byte(`{"inputRequests":{`)
	for i, r := range requests {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, rawjson.Quote(r.key)...), `:{"method":`...)
		out = append(out, rawjson.Quote(r.method)...)
		if r.params != nil {
			out = append(append(out, `,"params":`...), r.params...)
		}
		out = append(out, '}')
	}
	out = append(out, `},"requestState":`...)
	return append(append(out, rawjson.Quote(state)...), '}')
}

// missingCapability refuses what needs more of the client than it declared:
// -32021, which says what (2026-07-28; under HTTP 400).
func missingCapability(r *request, missing needs) reply {
	data := rawjson.Prepend([]byte(`{}`), "requiredCapabilities", missing.encode())
	return refusal(r.era, r.msg.id, mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY,
		"This needs input that the client did not declare it can give: "+string(missing.encode()), data)
}

// notParked refuses a good requestState whose call does not wait here: another
// server has it, or it is over.
func (g *Gateway) notParked(r *request) reply {
	g.log.Warn("a client goes on with a call that does not wait here: it is over, or another server has it",
		zap.String("tenant", r.principal.TenantID()), zap.String("key", r.principal.ID()))
	return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS,
		"The call that requestState goes on with is over, or waits at another server: make the request again without requestState and inputResponses", nil)
}

// badState refuses a requestState that is not ours, not of this request, used,
// or too old; which of them it is helps nobody who has a good one.
func badState(r *request) reply {
	return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS,
		"requestState is not valid for this request any more: make the request again without requestState and inputResponses", nil)
}
