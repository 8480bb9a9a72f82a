package rest

import (
	"context"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// Config of a Handler. Service and Authenticate are required.
type Config struct {
	Service *keys.Service
	// Authenticate turns the credential of a request into its principal. Errors:
	// keys.ErrUnauthenticated, keys.ErrBadCredential, *keys.InvalidError (more
	// than one credential: 400), keys.ErrUnavailable.
	Authenticate func(*http.Request) (keys.Principal, keys.Secret, error)
	// InstanceStatus is the state of an instance's connection and what is wrong
	// with it; nil = not known.
	InstanceStatus func(id string) (state, problem string)
	// InstanceTools lists an instance's tools; nil = none are known.
	InstanceTools func(ctx context.Context, i keys.Instance) ([]wire.Tool, error)
	// Offer is what the principal's tenant has on offer, which is asked for only
	// when the permission was checked; nil = nothing, and every tool is unknown.
	Offer func(ctx context.Context, p keys.Principal) (keys.Offer, error)
	// Ready is nil while the server should get requests. Of its error only what a
	// method NotReady() string says is told, and to anyone.
	Ready   func(context.Context) error
	MaxBody int64       // bytes of a request's body; default 1 MiB
	Log     *zap.Logger // of what a client is not told; nil = none
}

const defaultMaxBody = 1 << 20

// Handler serves the URL shapes, /livez and /readyz, the document of it all at
// /openapi.json and /docs, and a problem for all else.
type Handler struct {
	cfg       Config
	mux       *http.ServeMux
	published func() published // made once
}

// New builds the routes.
func New(cfg Config) *Handler {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Ready == nil {
		cfg.Ready = func(context.Context) error { return nil }
	}
	h := &Handler{cfg: cfg, mux: http.NewServeMux()}
	ops := operations{svc: cfg.Service, status: cfg.InstanceStatus, tools: cfg.InstanceTools, offer: cfg.Offer, starts: &keys.HostLimit{Burst: startsBurst, Every: startsEvery}}
	for _, s := range shapes(ops) {
		h.mount(s)
	}
	h.published = sync.OnceValue(func() published { return publish(describe(shapes(ops), h.ownPages())) })
	for _, page := range h.ownPages() {
		h.mux.HandleFunc(page.path, func(w http.ResponseWriter, r *http.Request) {
			if allowed(w, r, http.MethodGet, http.MethodHead) {
				page.serve(w, r)
			}
		})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Refuse(w, r, notFound()) })
	return h
}

// shapes are all that are served.
func shapes(o operations) []shape {
	return []shape{ocoreShape(o), walletcrewShape(o), capydbShape(o)}
}

// Patterns are the paths that a Handler serves, as http.Request.Pattern has them.
func Patterns() []string {
	all := []string{"/"}
	for _, page := range (&Handler{}).ownPages() {
		all = append(all, page.path)
	}
	for _, s := range shapes(operations{}) {
		for _, r := range s.routes {
			if !slices.Contains(all, r.path) {
				all = append(all, r.path)
			}
		}
	}
	return all
}

// ServeHTTP answers one request. A panic becomes a 500 without details.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if cause == http.ErrAbortHandler {
			panic(cause)
		}
		h.cfg.Log.Error("panic while serving", zap.String("route", r.Pattern), zap.ByteString("stack", debug.Stack()))
		Refuse(w, r, internal())
	}()
	Exact(h.mux).ServeHTTP(w, r)
}

// Exact answers with a problem where the path is not written the one way that
// it has: http.ServeMux would answer with a redirect of its own.
func Exact(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path || !strings.HasPrefix(r.URL.Path, "/") {
			Refuse(w, r, notFound())
			return
		}
		next.ServeHTTP(w, r)
	})
}
