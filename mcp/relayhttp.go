package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// forward sends one message and passes its answers on; a session that the
// server has lost is begun again, once.
func (r *relay) forward(ctx context.Context, m *message) {
	for again := range 2 {
		res, err := r.do(ctx, http.MethodPost, m.raw, m)
		if err != nil {
			if ctx.Err() == nil {
				r.failRequest(m, codeUnreachable, "the server can't be reached")
			}
			return
		}
		if session, _ := r.state(); res.StatusCode == http.StatusNotFound && session != "" &&
			m.version == "" && again == 0 && r.beginAgain(ctx, res) {
			continue
		}
		r.answer(ctx, m, res)
		return
	}
}

// beginAgain repeats the handshake after a 404.
func (r *relay) beginAgain(ctx context.Context, lost *http.Response) bool {
	_ = lost.Body.Close()
	r.mu.Lock()
	hello := r.hello
	r.session, r.version = "", ""
	r.mu.Unlock()
	res, err := r.do(ctx, http.MethodPost, hello, &message{method: string(mcpgo.MethodInitialize)})
	if err != nil {
		return false
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxRelayed))
	_ = res.Body.Close()
	r.learnSession(res, body)
	if session, _ := r.state(); session == "" {
		return false
	}
	res, err = r.do(ctx, http.MethodPost, notification("notifications/initialized", nil), &message{})
	if err == nil {
		_ = res.Body.Close()
	}
	return true
}

func (r *relay) do(ctx context.Context, method string, body []byte, m *message) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("Authorization", "Bearer "+r.cfg.Token.Reveal())
	h.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		h.Set("Content-Type", "application/json")
	}
	session, version := r.state()
	switch {
	case m != nil && mcpgo.IsModernProtocol(m.version):
		r.modernHeaders(h, m)
	case session != "":
		h.Set(mcpgo.HeaderSessionID, session)
		if version != "" {
			h.Set(mcpgo.HeaderProtocolVersion, version)
		}
	}
	return r.cfg.HTTPClient.Do(req)
}

func (r *relay) modernHeaders(h http.Header, m *message) {
	h.Set(mcpgo.HeaderProtocolVersion, m.version)
	h.Set(mcpgo.HeaderMethod, m.method)
	name, ok := mcpgo.ExtractHeaderName(mcpgo.MCPMethod(m.method), m.params)
	if methods[m.method].class == classTask {
		name, ok = m.taskID, true
	}
	if ok {
		if value, ok := mcpgo.EncodeHeaderValue(name); ok {
			h.Set(mcpgo.HeaderName, value)
		}
	}
	r.mu.Lock()
	tool := r.tools[m.name]
	r.mu.Unlock()
	if tool == nil {
		return
	}
	for name, value := range mcpgo.GenerateParamHeaders(tool, m.params) {
		h.Set(name, value)
	}
}

// answer passes on what the server answered to one message.
func (r *relay) answer(ctx context.Context, m *message, res *http.Response) {
	defer func() { _ = res.Body.Close() }()
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media == "text/event-stream" {
		answered := false
		_ = readEvents(res.Body, maxRelayed, func(data []byte) {
			// A request of the server's may have the same id.
			answered = answered || m.id != nil && bytes.Equal(rawjson.Field(data, "id"), m.id) && rawjson.Field(data, "method") == nil
			r.learnTools(m, data)
			_ = r.out.send(data)
		})
		if !answered && ctx.Err() == nil {
			r.failRequest(m, codeUnreachable, "the connection to the server was lost")
		}
		return
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRelayed))
	switch {
	case err != nil:
		r.failRequest(m, codeUnreachable, "the connection to the server was lost")
	case res.StatusCode == http.StatusUnauthorized:
		r.failRequest(m, codeDenied, "the server refused the key")
		r.refuse.Do(func() { close(r.refused) })
	case media == "application/json" && rawjson.ValidObject(body):
		r.learnSession(res, body)
		r.learnTools(m, body)
		_ = r.out.send(body)
	case res.StatusCode >= http.StatusBadRequest:
		detail := rawjson.Text(rawjson.Field(body, "detail"))
		if detail == "" {
			detail = "the server answered " + res.Status
		}
		r.failRequest(m, codeDenied, detail)
	case m.isRequest():
		r.failRequest(m, codeUnreachable, "the server gave no answer")
	}
}

func (r *relay) fail(id json.RawMessage, code int, problem string) {
	_ = r.out.send(failure(id, code, problem, nil).body)
}

func (r *relay) failRequest(m *message, code int, problem string) {
	if m.isRequest() {
		r.fail(m.id, code, problem)
	}
}

// learnSession keeps what initialize settled.
func (r *relay) learnSession(res *http.Response, body []byte) {
	if id := res.Header.Get(mcpgo.HeaderSessionID); id != "" {
		r.mu.Lock()
		r.session, r.version = id, rawjson.Text(rawjson.Field(rawjson.Field(body, "result"), "protocolVersion"))
		r.mu.Unlock()
	}
}

// learnTools keeps the tools whose arguments a later call must mirror in
// headers (2026-07-28, x-mcp-header).
func (r *relay) learnTools(m *message, data []byte) {
	if m.method != string(mcpgo.MethodToolsList) {
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(rawjson.Field(rawjson.Field(data, "result"), "tools"), &list) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, raw := range list {
		if t, err := headerTool(raw); err == nil && t != nil {
			r.tools[rawjson.Text(rawjson.Field(raw, "name"))] = t
		}
	}
}
