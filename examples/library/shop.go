package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// shop has one tool that reads, one that writes, and one that destroys, which their
// annotations say. NewTool says destructive until it is told otherwise, and what is
// said to be both counts as destructive.
func shop() *mcpserver.MCPServer {
	o := &orders{of: map[string]string{"1": "a lamp"}}
	s := mcpserver.NewMCPServer("shop", "1.0.0", mcpserver.WithToolCapabilities(true))
	id := mcpgo.WithString("id", mcpgo.Required(), mcpgo.Description("Number of the order"))
	item := mcpgo.WithString("item", mcpgo.Required(), mcpgo.Description("What is ordered"))
	s.AddTool(mcpgo.NewTool("list_orders", mcpgo.WithDescription("Lists all orders."),
		mcpgo.WithReadOnlyHintAnnotation(true), mcpgo.WithDestructiveHintAnnotation(false)), o.list)
	s.AddTool(mcpgo.NewTool("place_order", mcpgo.WithDescription("Places an order; an existing one is not changed."),
		mcpgo.WithReadOnlyHintAnnotation(false), mcpgo.WithDestructiveHintAnnotation(false), id, item), o.place)
	s.AddTool(mcpgo.NewTool("cancel_order", mcpgo.WithDescription("Cancels an order for good."),
		mcpgo.WithReadOnlyHintAnnotation(false), mcpgo.WithDestructiveHintAnnotation(true), id), o.cancel)
	return s
}

// orders is safe for concurrent calls.
type orders struct {
	mu sync.Mutex
	of map[string]string
}

func (o *orders) list(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var lines []string
	for _, id := range slices.Sorted(maps.Keys(o.of)) {
		lines = append(lines, id+": "+o.of[id])
	}
	return mcpgo.NewToolResultText(strings.Join(lines, "\n")), nil
}

func (o *orders) place(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	id, item := call.GetString("id", ""), call.GetString("item", "")
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, there := o.of[id]; there || id == "" || item == "" {
		return mcpgo.NewToolResultErrorf("an order needs an item and a number that is free, not %q", id), nil
	}
	o.of[id] = item
	return mcpgo.NewToolResultText(fmt.Sprintf("order %s: %s", id, item)), nil
}

func (o *orders) cancel(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
	id := call.GetString("id", "")
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, there := o.of[id]; !there {
		return mcpgo.NewToolResultErrorf("there is no order %q", id), nil
	}
	delete(o.of, id)
	return mcpgo.NewToolResultText("cancelled order " + id), nil
}
