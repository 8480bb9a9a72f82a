package upstream_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// inside is a server in this process.
func inside(s *mcpserver.MCPServer) upstream.Config {
	return upstream.Config{Transport: keys.TransportEmbedded, Handler: mcpserver.NewStreamableHTTPServer(s)}
}

// TestEmbeddedChanges: a tool that the program adds is seen.
func TestEmbeddedChanges(t *testing.T) {
	m := run(t, inside(genuine())).ready()
	if slices.Contains(m.tools(), "grown") {
		t.Fatal("it is there before")
	}
	m.call("grow", `{}`)
	m.until("the list has the new tool", func() bool {
		for _, tool := range m.lists[len(m.lists)-1].Tools {
			if tool.Name == "grown" {
				return true
			}
		}
		return false
	})
}

// TestEmbeddedEnds: the end of a call, and that of Run, are the end of a handler's
// context; and there are many calls at once.
func TestEmbeddedEnds(t *testing.T) {
	s := genuine()
	entered, left := make(chan struct{}, 100), make(chan struct{}, 100)
	s.AddTool(mcpgo.NewTool("hang"), func(ctx context.Context, _ mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		entered <- struct{}{}
		<-ctx.Done()
		left <- struct{}{}
		return nil, ctx.Err()
	})
	m := run(t, inside(s)).ready()
	await := func(what string, c <-chan struct{}, n int) {
		t.Helper()
		for range n {
			select {
			case <-c:
			case <-time.After(patience):
				t.Fatalf("never: %s", what)
			}
		}
	}
	const many = 20
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 2*many)
	hang := func(ctx context.Context) {
		for range many {
			go func() {
				_, err := m.Call(ctx, upstream.Call{Tool: "hang"})
				failed <- err
			}()
		}
		await("all calls are there", entered, many)
	}
	hang(ctx)
	cancel()
	await("the handlers' contexts end with their calls", left, many)
	for range many {
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatalf("a call that was given up: %v", err)
		}
	}
	hang(context.Background())
	m.stop()
	await("the handlers' contexts end with Run", left, many)
	for range many {
		if err := <-failed; err == nil {
			t.Error("a call outlived the connection")
		}
	}
}
