package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// pause is between notifications, as the suite asks; and after the last one,
// because mcp-go may lose one that is followed at once by the answer.
const pause = 50 * time.Millisecond

// addNotifyingTools adds the tools that speak while they work.
func addNotifyingTools(s *mcpserver.MCPServer) {
	logging := func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		for _, text := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			err := s.SendLogMessageToClient(ctx, mcpgo.NewLoggingMessageNotification(mcpgo.LoggingLevelInfo, "conformance-server", text))
			if err != nil {
				return nil, err
			}
			time.Sleep(pause)
		}
		return mcpgo.NewToolResultText("logged"), nil
	}
	addTool(s, "test_tool_with_logging", "Logs three times", logging)
	addTool(s, "test_logging_tool", "Logs only when the request asks for a level", logging)
	// With a progress token burst answers it.
	addTool(s, "test_tool_with_progress", "Reports progress three times", answering(mcpgo.NewTextContent("done")))
}

// addChangingTools adds the tools that change what the server lists. Each time
// it is something new: a thing that comes, goes and comes again within a few
// milliseconds is no change to who looks after that.
func addChangingTools(s *mcpserver.MCPServer) {
	addTool(s, "test_trigger_tool_change", "Changes the list of tools", changing(func(next, last string) {
		s.AddTool(mcpgo.NewTool(next, mcpgo.WithDescription("Is new")), answering(mcpgo.NewTextContent("ok")))
		s.DeleteTools(last)
	}))
	addTool(s, "test_trigger_prompt_change", "Changes the list of prompts", changing(func(next, last string) {
		s.AddPrompt(mcpgo.NewPrompt(next, mcpgo.WithPromptDescription("Is new")), saying(mcpgo.NewTextContent("ok")))
		s.DeletePrompts(last)
	}))
}

func changing(change func(next, last string)) mcpserver.ToolHandlerFunc {
	var mu sync.Mutex
	times := 0
	return func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		mu.Lock()
		defer mu.Unlock()
		times++
		change(fmt.Sprintf("test_change_%d", times), fmt.Sprintf("test_change_%d", times-1))
		return mcpgo.NewToolResultText("changed"), nil
	}
}
