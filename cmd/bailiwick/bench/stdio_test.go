package bench_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// window is how many calls are under way at once.
const window = 32

// TestStdio compares pipelined calls of a server on standard input and output
// with the same behind `bailiwick run`.
func TestStdio(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	direct := startPipe(t, "direct", "echo", self, "be-stdio")
	wrapped := startPipe(t, "bailiwick run", "up__echo", bailiwickBin, "run", "--name", "up", "--allow", "e*o", "--", self, "be-stdio")
	for _, p := range []*pipe{direct, wrapped} {
		p.turn(t, *slice/4)
		p.calls, p.elapsed, p.used = 0, 0, 0
	}
	for range *rounds {
		direct.turn(t, *slice)
		wrapped.turn(t, *slice)
	}
	for _, p := range []*pipe{direct, wrapped} {
		t.Logf("stdio, %d calls at once, %s: %.0f calls/s, its own CPU %.1f us a call", window, p.name, p.rate(), microseconds(p.used)/float64(p.calls))
	}
	t.Logf("bailiwick run / direct: %.2f", wrapped.rate()/direct.rate())
}

// pipe is an MCP server at the other end of two pipes.
type pipe struct {
	name, tool string
	process    process
	in         io.Writer
	out        *bufio.Reader
	sent       int
	calls      int
	elapsed    time.Duration
	used       time.Duration // CPU of the process, without its children's
}

func startPipe(t *testing.T, name, tool, program string, args ...string) *pipe {
	t.Helper()
	cmd := exec.Command(program, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
	})
	p := &pipe{name: name, tool: tool, process: process{pid: cmd.Process.Pid}, in: in, out: bufio.NewReaderSize(out, 64<<10)}
	p.write(t, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
	p.read(t)
	p.write(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	p.write(t, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`) // waits for the tools
	p.read(t)
	return p
}

func (p *pipe) write(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// read takes one answer with a result, and passes over notifications.
func (p *pipe) read(t *testing.T) {
	t.Helper()
	line, err := p.out.ReadSlice('\n')
	for err == nil && bytes.Contains(line, []byte(`"method":`)) {
		line, err = p.out.ReadSlice('\n')
	}
	if err != nil || !bytes.Contains(line, []byte(`"result"`)) {
		t.Fatalf("%s: %v in %.300q", p.name, err, line)
	}
}

func (p *pipe) call(t *testing.T) {
	t.Helper()
	p.sent++
	p.write(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{"text":"hello"}}}`, p.sent, p.tool))
}

// turn sends one call for each answer, with a window of them under way.
func (p *pipe) turn(t *testing.T, length time.Duration) {
	t.Helper()
	began, before := time.Now(), p.process.cpu(t)
	for range window {
		p.call(t)
	}
	for time.Since(began) < length {
		p.read(t)
		p.calls++
		p.call(t)
	}
	for range window {
		p.read(t)
		p.calls++
	}
	p.elapsed += time.Since(began)
	p.used += p.process.cpu(t) - before
}

func (p *pipe) rate() float64 { return float64(p.calls) / p.elapsed.Seconds() }
