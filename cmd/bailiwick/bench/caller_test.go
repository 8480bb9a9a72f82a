package bench_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// era is how a caller speaks: with a session, or stateless.
type era string

const (
	legacy era = "session"
	modern era = "2026-07-28"
)

// caller is one connection that sends one request again and again. The
// request's bytes are made once, and of an answer only what ends it is read.
type caller struct {
	conn    net.Conn
	in      *bufio.Reader
	request []byte
}

// message is what a caller sends, and with what.
type message struct {
	era    era
	token  string // "" = none
	path   string
	method string // of JSON-RPC
	name   string // the tool; "" = none
	args   string // of the tool
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

// dial opens a connection, in the older era with a session of its own, and
// sees that the message is answered with a result. It ends with the test.
func dial(t testing.TB, p *process, m message) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := newCaller(conn)
	headers := c.headers(m.token)
	params := ""
	if m.name != "" {
		params = fmt.Sprintf(`"name":%q,"arguments":%s`, m.name, m.args)
	}
	if m.era == legacy {
		headers = append(headers, "Mcp-Session-Id: "+c.initialize(t, m.path, headers), "Mcp-Protocol-Version: 2025-11-25")
	} else {
		headers = append(headers, "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: "+m.method)
		if m.name != "" {
			headers = append(headers, "Mcp-Name: "+m.name)
		}
		params = strings.TrimPrefix(params+","+modernMeta, ",")
	}
	c.request = post(m.path, headers, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s}}`, m.method, params))
	if head, body := c.exchange(t); !strings.Contains(body, `"result"`) {
		t.Fatalf("%s %s: %s\n%.500s", p.url, c.request, head, body)
	}
	return c
}

func newCaller(conn net.Conn) *caller {
	return &caller{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

// headers are those of every request.
func (c *caller) headers(token string) []string {
	out := []string{"Host: " + c.conn.RemoteAddr().String(), "Content-Type: application/json", "Accept: application/json, text/event-stream"}
	if token != "" {
		out = append(out, "Authorization: Bearer "+token)
	}
	return out
}

// initialize answers the session's id.
func (c *caller) initialize(t testing.TB, path string, headers []string) string {
	t.Helper()
	c.request = post(path, headers, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
	head, body := c.exchange(t)
	for line := range strings.Lines(head) {
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Mcp-Session-Id") {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no session: %s\n%s", head, body)
	return ""
}

func post(path string, headers []string, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", path, strings.Join(headers, "\r\n"), len(body), body)
}

// exchange sends the request and answers the head and the body.
func (c *caller) exchange(t testing.TB) (head, body string) {
	t.Helper()
	var kept bytes.Buffer
	if _, err := c.conn.Write(c.request); err != nil {
		t.Fatal(err)
	}
	head, err := c.answer(&kept)
	if err != nil {
		t.Fatal(err)
	}
	return head, kept.String()
}

// again sends the request and passes over the answer.
func (c *caller) again() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	_, err := c.answer(nil)
	return err
}

var (
	contentLength = []byte("content-length:")
	chunked       = []byte("transfer-encoding: chunked")
)

// answer reads one answer to its end; the body goes into kept where that is
// not nil, and only then is the head answered. Any status but 200 is an error.
func (c *caller) answer(kept *bytes.Buffer) (head string, err error) {
	length, status := -1, ""
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if kept != nil {
			head += string(line)
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			status = string(bytes.TrimSpace(line))
		}
		if len(line) <= 2 {
			break
		}
		if len(line) > len(contentLength) && bytes.EqualFold(line[:len(contentLength)], contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return "", err
			}
		}
		if len(line) >= len(chunked) && bytes.EqualFold(line[:len(chunked)], chunked) {
			length = -1
		}
	}
	if length >= 0 {
		err = c.take(length, kept)
	} else {
		err = c.chunks(kept)
	}
	if err == nil && status != "" {
		err = fmt.Errorf("answered %s", status)
	}
	return head, err
}

func (c *caller) chunks(kept *bytes.Buffer) error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return err
		}
		if err := c.take(int(size), kept); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil || size == 0 {
			return err
		}
	}
}

func (c *caller) take(n int, kept *bytes.Buffer) error {
	if kept != nil {
		_, err := io.CopyN(kept, c.in, int64(n))
		return err
	}
	_, err := c.in.Discard(n)
	return err
}
