package guard_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/guard"
)

// A program that serves its own tools, each to the keys that may call it.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	tools := mcpserver.NewMCPServer("clock", "1.0.0")
	tools.AddTool(mcpgo.NewTool("now", mcpgo.WithReadOnlyHintAnnotation(true), mcpgo.WithDestructiveHintAnnotation(false)),
		func(_ context.Context, call mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			log.Println("called with the key", guard.KeyID(call.Header))
			return mcpgo.NewToolResultText(time.Now().String()), nil
		})

	g, err := guard.Open(ctx, tools, guard.Config{Slug: "clock", Data: "./bailiwick-data"})
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	if key := g.FirstKey(); key != "" {
		fmt.Println("first key:", key.Reveal())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := g.Serve(ctx, listener); err != nil {
		log.Fatal(err)
	}
}

// A program with an HTTP server of its own, which serves other things, too.
func ExampleGuard_Handler() {
	ctx, stop := context.WithCancel(context.Background())
	g, err := guard.Open(ctx, mcpserver.NewMCPServer("clock", "1.0.0"), guard.Config{Slug: "clock", Data: "./bailiwick-data"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", g.Handler())
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })

	ended := make(chan error)
	go func() { ended <- g.Run(ctx) }()
	log.Print(http.ListenAndServe("127.0.0.1:8080", mux))
	stop()
	log.Print(<-ended, g.Close())
}
