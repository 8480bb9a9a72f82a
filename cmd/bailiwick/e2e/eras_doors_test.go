package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// eraDoors are the ways to a server: the client's era, and how it is reached.
// Modern clients have no HTTP+SSE.
var eraDoors = []struct {
	name   string
	modern bool
	open   func(t *testing.T, m *mounted, token string) eraDoor
}{
	{"legacy-http", false, postDoor}, {"legacy-sse", false, sseDoor},
	{"legacy-stdio", false, localDoor}, {"legacy-relay", false, relayDoor},
	{"modern-http", true, postDoor}, {"modern-stdio", true, localDoor}, {"modern-relay", true, relayDoor},
}

// httpDoor is streamable HTTP, of either era; with sse set, messages go to the
// endpoint of HTTP+SSE, whose stream has all answers.
type httpDoor struct {
	ctx        context.Context
	url, token string
	sse        bool

	mu       sync.Mutex
	session  string
	requests map[int64]context.CancelFunc
}

func postDoor(t *testing.T, m *mounted, token string) eraDoor {
	return &httpDoor{ctx: t.Context(), url: m.url + "/mcp", token: token, requests: map[int64]context.CancelFunc{}}
}

func sseDoor(t *testing.T, m *mounted, token string) eraDoor {
	return &httpDoor{ctx: t.Context(), url: m.url, token: token, sse: true, requests: map[int64]context.CancelFunc{}}
}

func (d *httpDoor) send(c *eraClient, m object) error {
	method, _ := m["method"].(string)
	if d.sse && method == "initialize" {
		if err := d.openSSE(c); err != nil {
			return err
		}
	}
	id, _ := m["id"].(int64)
	ctx, cancel := context.WithCancel(d.ctx)
	d.mu.Lock()
	d.requests[id] = cancel
	header := d.header(c, m)
	d.mu.Unlock()
	if method == "initialize" { // the next message needs its session
		return d.exchange(ctx, c, m, header)
	}
	if method == "" || id == 0 { // nothing comes back
		return d.exchange(ctx, c, m, header)
	}
	go func() {
		if err := d.exchange(ctx, c, m, header); err != nil && ctx.Err() == nil {
			c.fail(fmt.Sprintf("%s: %v", method, err))
		}
	}()
	return nil
}

// header is what the era wants to stand beside the body. d.mu is held.
func (d *httpDoor) header(c *eraClient, m object) http.Header {
	header := http.Header{}
	switch params, _ := m["params"].(object); {
	case c.modern:
		header.Set("Mcp-Protocol-Version", modernVersion)
		header.Set("Mcp-Method", m["method"].(string))
		for _, key := range []string{"name", "uri", "taskId"} {
			if name, ok := params[key].(string); ok {
				header.Set("Mcp-Name", headerValue(name))
			}
		}
		if arguments, _ := params["arguments"].(object); arguments["region"] != nil {
			header.Set("Mcp-Param-Region", headerValue(arguments["region"].(string)))
		}
	case d.session != "":
		header.Set("Mcp-Session-Id", d.session)
		header.Set("Mcp-Protocol-Version", legacyVersion)
	}
	return header
}

// headerValue is a text as 2026-07-28 wants it in a header.
func headerValue(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
		return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
	}
	return text
}

func (d *httpDoor) exchange(ctx context.Context, c *eraClient, m object, header http.Header) error {
	response, err := beginUntil(ctx, d.url, d.token, m, header)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if session := response.Header.Get("Mcp-Session-Id"); session != "" && m["method"] == "initialize" {
		d.mu.Lock()
		d.session = session
		d.mu.Unlock()
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		return hearEvents(c, response.Body)
	}
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusAccepted && len(body) > 0:
		c.hear(body)
	case response.StatusCode/100 != 2:
		return fmt.Errorf("HTTP %d %s", response.StatusCode, body)
	}
	if m["method"] == "notifications/initialized" && !d.sse {
		return d.listen(c)
	}
	return nil
}

// listen opens the stream of a session.
func (d *httpDoor) listen(c *eraClient) error {
	d.mu.Lock()
	header := d.header(c, object{})
	d.mu.Unlock()
	response, err := d.get(d.url, header)
	if err != nil {
		return err
	}
	go func() {
		defer response.Body.Close()
		_ = hearEvents(c, response.Body)
	}()
	return nil
}

func (d *httpDoor) get(url string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(d.ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+d.token)
	request.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET: HTTP %d", response.StatusCode)
	}
	return response, err
}

// openSSE opens the stream of HTTP+SSE and finds the endpoint in it.
func (d *httpDoor) openSSE(c *eraClient) error {
	response, err := d.get(d.url+"/sse", http.Header{})
	if err != nil {
		return err
	}
	stream := bufio.NewReader(response.Body)
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			return err
		}
		if path, ok := strings.CutPrefix(line, "data: "); ok {
			d.url += strings.TrimSpace(path)
			break
		}
	}
	go func() {
		defer response.Body.Close()
		_ = hearEvents(c, stream)
	}()
	return nil
}

func hearEvents(c *eraClient, stream io.Reader) error {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:")); ok {
			c.hear(data)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (d *httpDoor) leave(c *eraClient, id int64) error {
	if !c.modern {
		return d.send(c, cancellation(id))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests[id]()
	return nil
}

func cancellation(id int64) object {
	return object{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": object{"requestId": id, "reason": "enough"}}
}
