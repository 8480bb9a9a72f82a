package main

import (
	"context"
	"errors"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

var (
	askName    = form("What is your name?", object{"name": object{"type": "string"}}, "name")
	askColor   = form("What is your favorite color?", object{"color": object{"type": "string"}}, "color")
	askConfirm = form("Please confirm", object{"ok": object{"type": "boolean"}}, "ok")
	askContext = form("What context should the prompt use?", object{"context": object{"type": "string"}}, "context")
)

// addInputTools adds the tools of the scenarios about input_required results
// (SEP-2322).
func addInputTools(s *mcpserver.MCPServer) {
	addTool(s, "test_input_required_result_elicitation", "Needs a name", needing("", "Hello", func(b *builder) { b.Elicit("user_name", askName) }, answered("user_name")))
	addTool(s, "test_streaming_elicitation", "Needs a name", needing("", "Hello", func(b *builder) { b.Elicit("user_name", askName) }, answered("user_name")))
	addTool(s, "test_input_required_result_sampling", "Needs a model", needing("", "Thanks", func(b *builder) {
		b.Sample("capital_question", sampling("What is the capital of France?", 100))
	}, sampled("capital_question")))
	// It asks whatever the client declared: what stands in front must refuse.
	addTool(s, "test_missing_capability", "Needs a model", needing("", "Thanks", func(b *builder) {
		b.Sample("capital_question", sampling("What is the capital of France?", 100))
	}, sampled("capital_question")))
	addTool(s, "test_input_required_result_list_roots", "Needs the roots", needing("", "Thanks", func(b *builder) { b.Roots("client_roots") }, rooted("client_roots")))
	confirm := needing("confirm", "state-ok", func(b *builder) { b.Elicit("confirm", askConfirm) }, answered("confirm"))
	addTool(s, "test_input_required_result_request_state", "Needs its state back", confirm)
	addTool(s, "test_input_required_result_tampered_state", "Needs its state back unharmed", confirm)
	addTool(s, "test_input_required_result_multiple_inputs", "Needs three things", needing("three", "Thanks", func(b *builder) {
		b.Elicit("user_name", askName).Sample("greeting", sampling("Generate a greeting", 50)).Roots("client_roots")
	}, answered("user_name"), sampled("greeting"), rooted("client_roots")))
	addTool(s, "test_input_required_result_multi_round", "Needs two things, one after the other", inRounds)
	addTool(s, "test_input_required_result_capabilities", "Needs what the client can do", askingWithin)
}

type (
	builder = mcpserver.InputRequestBuilder
	// check says whether a well-formed answer is there.
	check func(mcpgo.InputResponses) bool
)

// answered, sampled and rooted are looser than a real tool may be: the suite
// sends the same name for each form.
func answered(id string) check {
	return func(answers mcpgo.InputResponses) bool { return mcpserver.ElicitationResponse(answers, id) != nil }
}

func sampled(id string) check {
	return func(answers mcpgo.InputResponses) bool { return mcpserver.SamplingResponse(answers, id) != nil }
}

func rooted(id string) check {
	return func(answers mcpgo.InputResponses) bool { return mcpserver.RootsResponse(answers, id) != nil }
}

// needing asks until each answer is there. With a state it gives the state
// out, sealed, and takes answers only with it.
func needing(state, thanks string, ask func(*builder), checks ...check) mcpserver.ToolHandlerFunc {
	return func(_ context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		for _, ok := range checks {
			if !ok(request.Params.InputResponses) {
				b := mcpserver.NewInputRequestBuilder(seal(state))
				ask(b)
				return b.ToolResult(), nil
			}
		}
		if unsealed, ok := unseal(request.Params.RequestState); !ok || unsealed != state {
			return nil, errState
		}
		return mcpgo.NewToolResultText(thanks), nil
	}
}

var errState = errors.New("requestState is not one of this server's")

// inRounds asks a name, then a color; the state tells the rounds apart.
func inRounds(_ context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	state, ok := unseal(request.Params.RequestState)
	answers := request.Params.InputResponses
	switch {
	case !ok:
		return nil, errState
	case state == "color" && answered("step2")(answers):
		return mcpgo.NewToolResultText("Thanks"), nil
	case state == "name" && answered("step1")(answers):
		return mcpserver.NewInputRequestBuilder(seal("color")).Elicit("step2", askColor).ToolResult(), nil
	}
	return mcpserver.NewInputRequestBuilder(seal("name")).Elicit("step1", askName).ToolResult(), nil
}

// askingWithin asks only what the client declared that it can do.
func askingWithin(ctx context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	if len(request.Params.InputResponses) > 0 {
		return mcpgo.NewToolResultText("Thanks"), nil
	}
	info := mcpserver.RequestProtocolInfoFromContext(ctx)
	b, asks := mcpserver.NewInputRequestBuilder(""), false
	if info != nil && info.ClientCapabilities != nil {
		if info.ClientCapabilities.Elicitation != nil {
			b.Elicit("user_name", askName)
			asks = true
		}
		if info.ClientCapabilities.Sampling != nil {
			b.Sample("greeting", sampling("Generate a greeting", 50))
			asks = true
		}
	}
	if !asks {
		return mcpgo.NewToolResultText("The client can be asked nothing"), nil
	}
	return b.ToolResult(), nil
}
