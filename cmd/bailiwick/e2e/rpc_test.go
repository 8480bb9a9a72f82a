package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

const (
	legacyVersion = "2025-11-25"
	modernVersion = "2026-07-28"
)

var requestID atomic.Int64

// answer is what came back for one JSON-RPC request over HTTP, uninterpreted.
type answer struct {
	status      int
	contentType string
	body        []byte // the JSON-RPC message, or the problem document
	header      http.Header
}

// message splits the JSON-RPC message into its raw members.
func (a answer) message(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &members); err != nil {
		t.Fatalf("HTTP %d with no JSON: %v: %q", a.status, err, a.body)
	}
	return members
}

// result is the raw result; an error fails the test.
func (a answer) result(t testing.TB) json.RawMessage {
	t.Helper()
	members := a.message(t)
	if len(members["result"]) == 0 {
		t.Fatalf("HTTP %d without a result: %s", a.status, a.body)
	}
	return members["result"]
}

// mcpClient is one way to ask a server over raw HTTP.
type mcpClient interface {
	ask(method string, params object) (answer, error)
}

// legacy is a session of protocol 2025-11-25.
type legacy struct {
	url, token, session string
}

// openSession initializes a session at url (the endpoint itself).
func openSession(t testing.TB, url, token string) *legacy {
	t.Helper()
	client := &legacy{url: url, token: token}
	reply := must(client.ask("initialize", object{
		"protocolVersion": legacyVersion,
		"capabilities":    object{},
		"clientInfo":      object{"name": "e2e-raw", "version": "1"},
	}))(t)
	reply.result(t)
	client.session = reply.header.Get("Mcp-Session-Id")
	must(client.send(object{"jsonrpc": "2.0", "method": "notifications/initialized"}))(t)
	return client
}

func (l *legacy) ask(method string, params object) (answer, error) {
	return l.send(object{"jsonrpc": "2.0", "id": requestID.Add(1), "method": method, "params": params})
}

func (l *legacy) send(message any) (answer, error) {
	header := http.Header{}
	if l.session != "" {
		header.Set("Mcp-Session-Id", l.session)
		header.Set("Mcp-Protocol-Version", legacyVersion)
	}
	return post(l.url, l.token, message, header)
}

// modern asks in protocol 2026-07-28, without a session.
type modern struct {
	url, token string
}

func (m modern) ask(method string, params object) (answer, error) {
	message, header := m.request(method, params)
	return post(m.url, m.token, message, header)
}

// request adds what the revision asks of every request: _meta, and the
// headers that mirror the body.
func (m modern) request(method string, params object) (object, http.Header) {
	full := object{"_meta": object{
		"io.modelcontextprotocol/protocolVersion":    modernVersion,
		"io.modelcontextprotocol/clientCapabilities": object{},
		"io.modelcontextprotocol/clientInfo":         object{"name": "e2e-raw", "version": "1"},
	}}
	for name, value := range params {
		full[name] = value
	}
	header := http.Header{}
	header.Set("Mcp-Protocol-Version", modernVersion)
	header.Set("Mcp-Method", method)
	if name, ok := params["name"].(string); ok {
		header.Set("Mcp-Name", name)
	}
	return object{"jsonrpc": "2.0", "id": requestID.Add(1), "method": method, "params": full}, header
}

// post sends one message (a string as it is) and reads the JSON-RPC message of
// the answer, from a JSON body or from an event stream.
func post(url, token string, message any, header http.Header) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	response, err := beginUntil(ctx, url, token, message, header)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	out := answer{status: response.StatusCode, contentType: response.Header.Get("Content-Type"), header: response.Header}
	if strings.HasPrefix(out.contentType, "text/event-stream") {
		out.body, err = responseEvent(response.Body)
	} else {
		out.body, err = io.ReadAll(response.Body)
	}
	return out, err
}

// postUntil sends a message and waits for its answer until ctx ends.
func postUntil(ctx context.Context, m modern, message any, header http.Header) error {
	response, err := beginUntil(ctx, m.url, m.token, message, header)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	return err
}

// begin sends one message and leaves the answer's body to be read.
func begin(url, token string, message any, header http.Header) (*http.Response, error) {
	return beginUntil(context.Background(), url, token, message, header)
}

func beginUntil(ctx context.Context, url, token string, message any, header http.Header) (*http.Response, error) {
	raw, ok := message.(string)
	if !ok {
		encoded, err := json.Marshal(message)
		if err != nil {
			return nil, err
		}
		raw = string(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(raw))
	if err != nil {
		return nil, err
	}
	request.Header = header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return http.DefaultClient.Do(request)
}

// responseEvent is the data of the first event that answers a request.
func responseEvent(stream io.Reader) ([]byte, error) {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:")); ok {
			data = bytes.TrimSpace(data)
			var head struct{ Result, Error json.RawMessage }
			if json.Unmarshal(data, &head) == nil && (head.Result != nil || head.Error != nil) {
				return data, nil
			}
		}
		if err != nil {
			return nil, fmt.Errorf("the stream ended without an answer: %w", err)
		}
	}
}

// must fails the test on a transport error.
func must[T any](a T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

// listTools answers the definitions by name, over all pages.
func listTools(t testing.TB, c mcpClient) map[string]object {
	t.Helper()
	tools := map[string]object{}
	for cursor := ""; ; {
		params := object{}
		if cursor != "" {
			params["cursor"] = cursor
		}
		var page struct {
			Tools      []object
			NextCursor string
		}
		if err := json.Unmarshal(must(c.ask("tools/list", params))(t).result(t), &page); err != nil {
			t.Fatal(err)
		}
		for _, tool := range page.Tools {
			tools[tool["name"].(string)] = tool
		}
		if cursor = page.NextCursor; cursor == "" {
			return tools
		}
	}
}

func callTool(t testing.TB, c mcpClient, name string, arguments object) answer {
	t.Helper()
	return must(c.ask("tools/call", object{"name": name, "arguments": arguments}))(t)
}
