package mcp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// pipes is a client at the other end of stdin and stdout.
type pipes struct {
	t    *testing.T
	in   *io.PipeWriter
	got  chan string
	done chan error // what serving answered
}

// startPipes runs serve over pipes.
func startPipes(t *testing.T, serve func(ctx context.Context, in io.Reader, out io.Writer) error) *pipes {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p := &pipes{t: t, in: inW, got: make(chan string, 100), done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := serve(ctx, inR, outW)
		_ = outW.Close()
		p.done <- err
	})
	wg.Go(func() {
		lines := bufio.NewScanner(outR)
		lines.Buffer(nil, 1<<20) // a list is longer than a scanner takes by itself
		for lines.Scan() {
			p.got <- lines.Text()
		}
		close(p.got)
	})
	t.Cleanup(func() { stop(); _ = inW.Close(); wg.Wait() })
	return p
}

func (p *pipes) send(lines ...string) {
	p.t.Helper()
	for _, l := range lines {
		_, err := io.WriteString(p.in, l+"\n")
		must(p.t, err)
	}
}

func (p *pipes) next() string {
	p.t.Helper()
	select {
	case l, ok := <-p.got:
		if !ok {
			p.t.Fatal("the output has ended")
		}
		return l
	case <-time.After(5 * time.Second):
		p.t.Fatal("no line came")
		return ""
	}
}

// expect reads one line that must hold all of the parts.
func (p *pipes) expect(parts ...string) {
	p.t.Helper()
	l := p.next()
	for _, part := range parts {
		if !strings.Contains(l, part) {
			p.t.Errorf("line %s lacks %q", l, part)
		}
	}
}

func (p *pipes) ended() error {
	p.t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(15 * time.Second):
		p.t.Fatal("serving goes on")
		return nil
	}
}

// doors are the two ways to a stdio client: beside the store, and relayed to a
// remote server.
func doors(w *world, k keys.Issued) map[string]func(context.Context, io.Reader, io.Writer) error {
	return map[string]func(context.Context, io.Reader, io.Writer) error{
		"local": func(ctx context.Context, in io.Reader, out io.Writer) error {
			return w.gw.ServeStdio(ctx, k.Secret, in, out)
		},
		"relay": func(ctx context.Context, in io.Reader, out io.Writer) error {
			return mcp.RelayStdio(ctx, mcp.RelayConfig{URL: w.http.URL + "/mcp", Token: k.Secret, In: in, Out: out})
		},
	}
}

const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`

// TestStdio drives both eras through both doors.
func TestStdio(t *testing.T) {
	for _, door := range []string{"local", "relay"} {
		t.Run(door, func(t *testing.T) {
			w := newWorld(t)
			withHeader := `{"name":"h","inputSchema":{"type":"object","properties":{"q":{"type":"string","x-mcp-header":"Q"}}},"annotations":{"readOnlyHint":true}}`
			up := newUpstream(t, tool("read_x", "r"), tool("drop_x", "d"), withHeader)
			w.mount("a1", up)
			k := w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
			p := startPipes(t, doors(w, k)[door])
			p.send(initialize)
			p.expect(`"id":"init"`, `"protocolVersion":"2025-11-25"`, `"listChanged":true`)
			p.send(initialized, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
			p.expect(`"id":1`, "a1__read_x")
			p.send(`{"jsonrpc":"2.0","id":12345678901234567890,"method":"tools/call","params":{"name":"a1__read_x","arguments":{"n":12345678901234567890}}}`)
			p.expect(`"id":12345678901234567890`, `"text":"ok"`)
			p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a1__drop_x"}}`)
			p.expect(`"id":2`, "Unknown tool: a1__drop_x")
			p.send(`{"jsonrpc":"2.0","id":3`, ``, `[]`, `{"jsonrpc":"2.0","id":4,"method":"nope"}`)
			p.expect("-32700")
			p.expect("-32600", "batches")
			p.expect(`"id":4`, "-32601")
			up.on("read_x", func(c fakeCall) string { c.progress(`"progress":1`); return `{"content":[]}` })
			p.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a1__read_x","_meta":{"progressToken":"t"}}}`)
			p.expect("notifications/progress", `"progressToken":"t"`)
			p.expect(`"id":5`)

			p.send(`{"jsonrpc":"2.0","id":6,"method":"server/discover","params":{` + modernMeta + `}}`)
			p.expect(`"id":6`, "supportedVersions")
			p.send(`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{` + modernMeta + `}}`)
			p.expect(`"id":7`, `"resultType":"complete"`)
			p.send(`{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"a1__h","arguments":{"q":"é ü"},` + modernMeta + `}}`)
			p.expect(`"id":8`, `"text":"ok"`)
			p.send(`{"jsonrpc":"2.0","id":9,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}`)
			p.expect("subscriptions/acknowledged", `"io.modelcontextprotocol/subscriptionId":9`)
			up.setTools(tool("read_z", "r"))
			both := p.next() + p.next()
			if !strings.Contains(both, changed) || !strings.Contains(both, `subscriptionId":9`) {
				t.Errorf("list_changed: %s", both)
			}
			must(t, p.in.Close())
			must(t, p.ended())
		})
	}
}

// TestStdioCancel: a canceled request is answered as such or not at all, in
// both eras, and reaches the upstream.
func TestStdioCancel(t *testing.T) {
	for _, door := range []string{"local", "relay"} {
		t.Run(door, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, tool("wait", "r"))
			w.mount("a1", up)
			started, ended := make(chan struct{}, 2), make(chan struct{}, 2)
			up.on("wait", func(c fakeCall) string { started <- struct{}{}; <-c.done; ended <- struct{}{}; return `{}` })
			p := startPipes(t, doors(w, w.key())[door])
			p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__wait",` + modernMeta + `}}`)
			<-started
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,` + modernMeta + `}}`)
			<-ended
			p.send(initialize, initialized, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a1__wait"}}`)
			<-started
			p.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}`)
			<-ended
		})
	}
}

// TestStdioParallel: answers to parallel calls are whole lines, each with its
// own result, and calls that run when the input ends are finished.
func TestStdioParallel(t *testing.T) {
	for _, door := range []string{"local", "relay"} {
		t.Run(door, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, tool("echo", "r"))
			w.mount("a1", up)
			up.on("echo", func(c fakeCall) string { return `{"content":[],"structuredContent":` + string(c.Arguments) + `}` })
			p := startPipes(t, doors(w, w.key())[door])
			p.send(initialize, initialized)
			p.next()
			want := []string{}
			for i := range 50 {
				id := string(rune('a'+i/26)) + string(rune('a'+i%26))
				p.send(`{"jsonrpc":"2.0","id":"` + id + `","method":"tools/call","params":{"name":"a1__echo","arguments":{"v":"` + id + strings.Repeat("x", 20000) + `"}}}`)
				want = append(want, `{"jsonrpc":"2.0","id":"`+id+`","result":{"content":[],"structuredContent":{"v":"`+id+strings.Repeat("x", 20000)+`"}}}`)
			}
			must(t, p.in.Close())
			got := []string{}
			for l := range p.got {
				got = append(got, l)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%d lines, want %d", len(got), len(want))
			}
			must(t, p.ended())
		})
	}
}

// TestStdioBadKey: a key that does not count is an error at once; one that
// stops counting is refused from then on.
func TestStdioBadKey(t *testing.T) {
	w := newWorld(t)
	bad := keys.Issued{Secret: "bwk_live_nope"}
	paused := w.key(func(n *keys.NewKey) { n.MCPActive = keys.Some(false) })
	if err := w.gw.ServeStdio(t.Context(), bad.Secret, strings.NewReader(""), io.Discard); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("local: %v", err)
	}
	if err := w.gw.ServeStdio(t.Context(), paused.Secret, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "paused") {
		t.Errorf("local, paused: %v", err)
	}
	p := startPipes(t, doors(w, bad)["relay"])
	p.send(initialize)
	p.expect(`"id":"init"`, "refused the key")
	if err := p.ended(); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("relay: %v", err)
	}
	p = startPipes(t, doors(w, paused)["relay"])
	p.send(initialize)
	p.expect(`"id":"init"`, "paused")

	for door := range doors(w, bad) {
		k := w.key()
		p := startPipes(t, doors(w, k)[door])
		p.send(initialize)
		p.expect("result")
		_, err := w.svc.RevokeKey(context.Background(), w.op, k.Key.ID, keys.Revocation{})
		must(t, err)
		p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		p.expect(`"id":1`, "error")
	}
}

// TestRelaySurvivesRestart: a session that the server lost is begun again.
func TestRelaySurvivesRestart(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r")))
	k := w.key()
	p := startPipes(t, doors(w, k)["relay"])
	p.send(initialize, initialized)
	p.next()
	w.clock.Advance(25 * time.Hour) // so long that the other can't take it up
	s := w.second()
	s.run()
	w.served.Store(s.served.Load())
	p.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	p.expect(`"id":1,"result"`, "a1__read_x")
	w.http.CloseClientConnections()
	w.http.Close()
	p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	p.expect(`"id":2,"error"`, "can't be reached")
}

func TestStdioTooLong(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.MaxBody = 1000 })
	p := startPipes(t, doors(w, w.key())["local"])
	p.send(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"`+strings.Repeat("x", 200_000)+`"}}`, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	p.expect("larger than")
	p.expect(`"id":2,"result"`)
}
