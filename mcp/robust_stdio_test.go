package mcp_test

import (
	"context"
	"io"
	"testing"
	"time"
)

// TestStdioClientThatReadsNothing: serving a client that does not read ends all
// the same.
func TestStdioClientThatReadsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.key()
	for _, door := range []string{"local", "relay"} {
		t.Run(door, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			in, client := io.Pipe()
			unread, out := io.Pipe()
			defer func() { _, _ = client.Close(), unread.Close() }() // frees what is left behind
			ended := make(chan error, 1)
			go func() { ended <- doors(w, k)[door](ctx, in, out) }()
			_, err := io.WriteString(client, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+modernMeta+`}}`+"\n")
			must(t, err)
			_, err = unread.Read(make([]byte, 1)) // it is being written
			must(t, err)
			stop()
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("serving goes on")
			}
		})
	}
}
