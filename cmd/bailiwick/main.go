// Command bailiwick is the server and its command line. Everything is wired
// here, by hand: serve.go (the server), gateway commands in stdio.go and run.go,
// and one file for each noun of the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set when building: -ldflags "-X main.version=v1.2.3".
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	c := &cli{in: os.Stdin, out: os.Stdout, errs: os.Stderr, env: os.LookupEnv}
	os.Exit(c.run(ctx, os.Args[1:]))
}
