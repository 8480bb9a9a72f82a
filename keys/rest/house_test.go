package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// house is a server on an empty store, with its first key.
type house struct {
	t     testing.TB
	ctx   context.Context
	now   time.Time
	store *keystest.Memory
	svc   *keys.Service
	op    keys.Principal
	first string
	cfg   rest.Config
	api   *rest.Handler
	logs  *observer.ObservedLogs
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, ctx: context.Background(), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), store: keystest.NewMemory()}
	h.svc = h.service(h.store)
	first, err := h.svc.Bootstrap(h.ctx)
	h.must(err)
	h.first = first.Reveal()
	h.op, err = h.svc.Operator(h.ctx, "default")
	h.must(err)
	core, logs := observer.New(zap.DebugLevel)
	h.logs = logs
	h.cfg = rest.Config{Service: h.svc, Authenticate: bearer.Authenticator{APIKeys: h.svc}.Authenticate, Log: zap.New(core),
		InstanceStatus: func(string) (string, string) { return "down", "no answer" },
		InstanceTools: func(context.Context, keys.Instance) ([]wire.Tool, error) {
			return []wire.Tool{{Name: "get", Exposed: "x__get", Category: "tools", Effect: "read", Digest: "0a", Definition: json.RawMessage(`{}`)}}, nil
		}}
	h.api = rest.New(h.cfg)
	return h
}

func (h *house) service(store keys.Store) *keys.Service {
	h.t.Helper()
	root := keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}
	svc, err := keys.New(h.ctx, keys.Config{Store: store, Root: root, Now: func() time.Time { return h.now }})
	h.must(err)
	return svc
}

// serveOver lets requests go to another store, or this one seen another way.
func (h *house) serveOver(store keys.Store) {
	h.t.Helper()
	svc := h.service(store)
	h.cfg.Service, h.cfg.Authenticate = svc, bearer.Authenticator{APIKeys: svc}.Authenticate
	h.api = rest.New(h.cfg)
}

// fresh is the same server, started anew.
func (h *house) fresh() *rest.Handler { return rest.New(h.cfg) }

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// mint makes a key as the operator and answers it with its token.
func (h *house) mint(n keys.NewKey) (keys.Key, string) {
	h.t.Helper()
	if n.Name == "" {
		n.Name = "a key"
	}
	issued, err := h.svc.CreateKey(h.ctx, h.op, n)
	h.must(err)
	return issued.Key, issued.Secret.Reveal()
}

type response struct {
	status int
	header http.Header
	body   string
}

// do sends a request with a key; headers come as name, value, ...; a body goes
// as JSON.
func (h *house) do(token, method, path, body string, headers ...string) response {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.ctx, method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		if name := headers[i]; name == "Content-Type" || name == "Authorization" {
			r.Header.Del(name) // in place of the usual one
		}
		if headers[i+1] != "" {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	got := response{w.Code, w.Header(), w.Body.String()}
	conform(h.t, method, path, body, got)
	return got
}

// as the first key, which may do everything.
func (h *house) ask(method, path, body string, headers ...string) response {
	h.t.Helper()
	return h.do(h.first, method, path, body, headers...)
}

// want checks the status, and answers the body as an object.
func (h *house) want(status int, r response) map[string]any {
	h.t.Helper()
	if r.status != status {
		h.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	var out map[string]any
	decoder := json.NewDecoder(bytes.NewBufferString(r.body))
	h.must(decoder.Decode(&out))
	return out
}

// refused checks a problem's status and code, and answers the named fields.
func (h *house) refused(status int, code string, r response) (fields []string) {
	h.t.Helper()
	problem := h.want(status, r)
	if problem["code"] != code || problem["status"] != float64(status) || problem["title"] != http.StatusText(status) ||
		r.header.Get("Content-Type") != "application/problem+json" || problem["detail"] == "" || problem["type"] == nil {
		h.t.Errorf("want a problem with code %s, got %s", code, r.body)
	}
	list, ok := problem["errors"].([]any)
	if !ok {
		h.t.Errorf("errors is no list: %s", r.body)
	}
	for _, one := range list {
		fields = append(fields, one.(map[string]any)["field"].(string))
	}
	return fields
}

// fault checks an error of the capydb shape: a status and one text, no more.
func (h *house) fault(status int, text string, r response) {
	h.t.Helper()
	want := `{"error":` + strconv.Quote(text) + "}\n"
	if r.status != status || r.body != want || r.header.Get("Content-Type") != "application/json" {
		h.t.Errorf("want %d %s, got %d %s", status, want, r.status, r.body)
	}
}

func (h *house) epoch() int64 {
	h.t.Helper()
	epoch, err := h.store.Epoch(h.ctx)
	h.must(err)
	return epoch
}
