// Command oidcprovider is an OpenID provider of the end-to-end tests, in a
// process of its own. It listens on the given loopback address, and prints
// "listening on URL"; what it serves is in bearertest.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/bailiwick-mcp/bailiwick/keys/bearer/bearertest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: oidcprovider 127.0.0.1:PORT")
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	fmt.Println("listening on", url)
	return http.Serve(l, bearertest.New(url))
}
