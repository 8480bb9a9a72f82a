package upstream_test

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// genuine is a server of mcp-go, which speaks both eras.
func genuine(opts ...mcpserver.ServerOption) *mcpserver.MCPServer {
	opts = append([]mcpserver.ServerOption{mcpserver.WithToolCapabilities(true)}, opts...)
	s := mcpserver.NewMCPServer("genuine", "1.2.3", opts...)
	s.AddTool(mcpgo.NewToolWithRawSchema("echo", "says it again", json.RawMessage(oddSchema)), echo)
	s.AddTool(mcpgo.NewTool("environ"), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return mcpgo.NewToolResultText(strings.Join(os.Environ(), "\n")), nil
	})
	s.AddTool(mcpgo.NewTool("fail"), func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return nil, os.ErrPermission
	})
	s.AddTool(mcpgo.NewTool("grow"), func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		s.AddTool(mcpgo.NewTool("grown"), echo)
		return mcpgo.NewToolResultText("done"), nil
	})
	s.AddTool(mcpgo.NewTool("progress"), reportProgress)
	s.AddTool(mcpgo.NewTool("wait"), func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		select {
		case <-ctx.Done():
			note("cancelled")
		case <-time.After(patience):
		}
		return mcpgo.NewToolResultText("waited"), nil
	})
	return s
}

// oddSchema has keywords that mcp-go's own types do not know.
const oddSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",` +
	`"properties":{"text":{"anyOf":[{"type":"string"},{"type":"null"}],"title":"Text"}},` +
	`"patternProperties":{"^x-":{"type":"integer","maximum":9007199254740993}},"unevaluatedProperties":false}`

func echo(_ context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	b, _ := json.Marshal(r.GetRawArguments())
	return mcpgo.NewToolResultText(string(b)), nil
}

func reportProgress(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	for i := 1; i <= 3 && r.Params.Meta != nil && r.Params.Meta.ProgressToken != nil; i++ {
		err := mcpserver.ServerFromContext(ctx).SendNotificationToClient(ctx, "notifications/progress",
			map[string]any{"progressToken": r.Params.Meta.ProgressToken, "progress": i, "total": 3})
		if err != nil {
			return nil, err
		}
	}
	return mcpgo.NewToolResultText("done"), nil
}

// note leaves a line in the file that the test reads.
func note(line string) {
	if path := os.Getenv("UPSTREAM_TEST_NOTES"); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, _ = f.WriteString(line + "\n")
			_ = f.Close()
		}
	}
}

// stdioServers are what this binary can be.
var stdioServers = map[string]func(){
	"genuine": func() { _ = mcpserver.ServeStdio(genuine()) },
}
