// Command library is an MCP server with three tools of its own, behind Bailiwick
// keys: what is between the two marks is all that it takes. Try it:
//
//	go run ./examples/library
//	bailiwick keys create --name reader   # beside it, in the same folder: a key that only reads
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os/signal"
	"syscall"

	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/guard"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	data := flag.String("data", "./bailiwick-data", "`folder` of the keys, as bailiwick keys --data has it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(ctx, shop(), listener, *data); err != nil {
		log.Fatal(err)
	}
}

// serve is an ordinary server of mcp-go, and its protection.
func serve(ctx context.Context, tools *mcpserver.MCPServer, listener net.Listener, data string) error {
	// Bailiwick begins
	g, err := guard.Open(ctx, tools, guard.Config{Slug: "shop", Data: data})
	if err != nil {
		return err
	}
	defer g.Close()
	if key := g.FirstKey(); key != "" { // of a new folder; it may do everything
		fmt.Println("first key:", key.Reveal())
	}
	fmt.Printf("listening on http://%s/mcp\n", listener.Addr())
	return g.Serve(ctx, listener)
	// Bailiwick ends
}
