package main

import (
	"context"
	"errors"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// jobs are the tools that become tasks for a client that knows tasks.
var jobs = map[string]job{
	"slow_compute": slowCompute,
	"failing_job":  failing,
	"protocol_error_job": func(context.Context, *task, callParams) (*mcpgo.CallToolResult, error) {
		return nil, errors.New("broken")
	},
	"confirm_delete":      asking(mcpgo.InputRequests{"confirm": mcpgo.NewElicitationInputRequest(askConfirm)}),
	"multi_input":         asking(mcpgo.InputRequests{"name": mcpgo.NewElicitationInputRequest(askName), "confirm": mcpgo.NewElicitationInputRequest(askConfirm)}),
	"test_tool_with_task": greetLater,
}

// taskOnly is the tool that cannot be called but as a task.
const taskOnly = "failing_job"

// addTaskTools adds the same tools for clients that do not know tasks, which
// get the result in the answer.
func addTaskTools(s *mcpserver.MCPServer) {
	s.AddTool(mcpgo.NewTool("greet", mcpgo.WithDescription("Greets"), mcpgo.WithString("name")),
		func(_ context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			return mcpgo.NewToolResultText("Hello, " + request.GetString("name", "") + "!"), nil
		})
	for name := range jobs {
		if name != "test_tool_with_task" {
			addTool(s, name, "May take long", answering(mcpgo.NewTextContent("done")))
		}
	}
	// It asks before it becomes a task.
	addTool(s, "test_tool_with_task", "Asks, then takes long",
		needing("", "Hello", func(b *builder) { b.Elicit("user_name", askName) }, answered("user_name")))
}

func slowCompute(ctx context.Context, _ *task, call callParams) (*mcpgo.CallToolResult, error) {
	seconds, _ := call.Arguments["seconds"].(float64)
	return later(ctx, time.Duration(seconds*float64(time.Second)), mcpgo.NewToolResultText("computed"))
}

func failing(ctx context.Context, _ *task, _ callParams) (*mcpgo.CallToolResult, error) {
	return later(ctx, pause, mcpgo.NewToolResultError("this job always fails"))
}

func later(ctx context.Context, wait time.Duration, result *mcpgo.CallToolResult) (*mcpgo.CallToolResult, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait):
		return result, nil
	}
}

func asking(questions mcpgo.InputRequests) job {
	return func(ctx context.Context, t *task, _ callParams) (*mcpgo.CallToolResult, error) {
		asked := mcpgo.InputRequests{}
		for id, question := range questions {
			asked[id] = question
		}
		if _, err := t.ask(ctx, asked); err != nil {
			return nil, err
		}
		return mcpgo.NewToolResultText("done"), nil
	}
}

func greetLater(ctx context.Context, _ *task, call callParams) (*mcpgo.CallToolResult, error) {
	return later(ctx, pause, mcpgo.NewToolResultText("Hello, "+string(call.InputResponses["user_name"])))
}
