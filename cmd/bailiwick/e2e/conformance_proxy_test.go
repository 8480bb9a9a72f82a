package e2e_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// suiteProxy stands between the conformance suite and Bailiwick, for the two
// things that the suite cannot do: send a credential, and call the fixture's
// tools by the names under which Bailiwick lists them (`x` of the instance
// fixture is `fixture__x`; prompts alike). It adds the Authorization header,
// and the prefix to the name in tools/call, prompts/get, the ref/prompt of
// completion/complete and Mcp-Name; it takes the prefix off in the answers to
// tools/list and prompts/list. Everything else passes as it is, Host, status,
// headers and each byte as soon as it comes: what the suite sees is what
// Bailiwick says.
type suiteProxy struct {
	t      testing.TB
	target string // http://host:port
	token  string
	prefix string // with the __
}

// newSuiteProxy answers the URL to give to the suite.
func newSuiteProxy(t testing.TB, target, token, instance string) string {
	t.Helper()
	proxy := httptest.NewServer(&suiteProxy{t, target, token, instance + "__"})
	t.Cleanup(proxy.Close)
	return proxy.URL + "/mcp"
}

func (p *suiteProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the suite went away
	}
	method := rawjson.Text(rawjson.Field(body, "method"))
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.RequestURI(), bytes.NewReader(p.named(method, body)))
	if err != nil {
		p.t.Errorf("the suite's request: %v", err)
		return
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	out.Header.Set("Authorization", "Bearer "+p.token)
	if name := r.Header.Get("Mcp-Name"); name != "" && carriesName(method) {
		out.Header.Set("Mcp-Name", p.headerName(name))
	}
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		if r.Context().Err() == nil {
			p.t.Errorf("%s %s: %v", r.Method, method, err)
		}
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		if name != "Content-Length" { // of the answer before it lost its prefixes
			w.Header()[name] = values
		}
	}
	w.WriteHeader(answer.StatusCode)
	p.pass(w, answer.Body, method == "tools/list" || method == "prompts/list")
}

func carriesName(method string) bool { return method == "tools/call" || method == "prompts/get" }

// named is the request with the prefix before the name of the tool or prompt.
func (p *suiteProxy) named(method string, body []byte) []byte {
	prefixed := func(key string, value []byte) []byte {
		if name := rawjson.Text(value); key == "name" && name != "" {
			return rawjson.Quote(p.prefix + name)
		}
		return value
	}
	edited, _ := rawjson.Edit(body, func(key string, params []byte) []byte {
		if key != "params" {
			return params
		}
		if carriesName(method) {
			params, _ = rawjson.Edit(params, prefixed)
		}
		if method == "completion/complete" {
			params, _ = rawjson.Edit(params, func(key string, ref []byte) []byte {
				if key == "ref" && rawjson.Text(rawjson.Field(ref, "type")) == "ref/prompt" {
					ref, _ = rawjson.Edit(ref, prefixed)
				}
				return ref
			})
		}
		return params
	})
	return edited
}

// headerName puts the prefix before the value of Mcp-Name, inside of its
// base64 form where it has that.
func (p *suiteProxy) headerName(value string) string {
	encoded, ok := strings.CutPrefix(value, "=?base64?")
	if !ok {
		return p.prefix + value
	}
	name, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(encoded, "?="))
	if err != nil {
		return value // wrong on purpose
	}
	return "=?base64?" + base64.StdEncoding.EncodeToString(append([]byte(p.prefix), name...)) + "?="
}

// pass hands on what comes as it comes; a list, which must be seen whole, line
// by line.
func (p *suiteProxy) pass(w http.ResponseWriter, from io.Reader, list bool) {
	flush := http.NewResponseController(w).Flush
	_ = flush()
	var held []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		held = append(held, buffer[:n]...)
		ready := held
		if list && err == nil {
			ready = held[:bytes.LastIndexByte(held, '\n')+1]
		}
		rest := held[len(ready):]
		if list {
			ready = bytes.ReplaceAll(ready, []byte(`"name":"`+p.prefix), []byte(`"name":"`))
		}
		if _, failed := w.Write(ready); failed != nil {
			return
		}
		_ = flush()
		held = bytes.Clone(rest)
		if err != nil {
			return
		}
	}
}
