// Command eraserver is an MCP server of exactly one era, with everything that
// the end-to-end test of all pairs of eras asks for, on every transport of that
// era. It is written on raw JSON, because what is tested are bytes and codes
// that a library would change, and what a server was told (a cancellation, a
// subscription), which it then tells by a tool.
//
//	eraserver legacy|modern stdio
//	eraserver legacy|modern 127.0.0.1:PORT
//
// Over HTTP it prints "listening on URL", and serves a server of its own at each
// URL/mcp/NAME and (legacy) URL/sse/NAME; at URL/bare/NAME one without
// subscriptions, log levels, prompts and tasks. It serves until its input ends or
// it is killed.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "legacy" && args[0] != "modern" {
		return fmt.Errorf("usage: eraserver legacy|modern stdio|127.0.0.1:PORT")
	}
	modern := args[0] == "modern"
	if args[1] == "stdio" {
		return serveLines(newServer(modern, false), os.Stdin, os.Stdout)
	}
	listener, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	fmt.Println("listening on", "http://"+listener.Addr().String())
	return http.Serve(listener, &house{modern: modern, servers: map[string]*server{}})
}
