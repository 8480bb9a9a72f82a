package rest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// shape is one URL shape: a table of routes around the operations.
type shape struct {
	name string
	// tenants are those that the request names, by id or slug; all must be the
	// principal's.
	tenants func(*http.Request) []string
	words   *strings.Replacer // from the domain's words in an error to the shape's; nil = they are the same
	routes  []route
}

// faults is how errors are answered below a prefix; everywhere else by the
// problem itself (RFC 9457).
var faults = map[string]func(http.ResponseWriter, *http.Request, wire.Problem){
	capydbPrefix: capydbFault,
}

// Refuse answers with an error in the way of the shape that the path is of.
func Refuse(w http.ResponseWriter, r *http.Request, p wire.Problem) {
	for prefix, fault := range faults {
		if strings.HasPrefix(r.URL.Path, prefix) {
			fault(w, r, p)
			return
		}
	}
	p.Answer(w)
}

// route is one line of a shape.
type route struct {
	method    string
	path      string // as http.ServeMux has it
	operation string // its name in documentation
	status    int    // of success
	needs     string // the permission, for documentation; the Service asks for it
	summary   string // of the operation, in one line
	endpoint
}

// The permissions that routes need, in the primary spelling.
const (
	anyone          = "anyone" // no credential is asked for: the principal is nobody
	anyKey          = ""       // whoever has a credential
	viewKeys        = "view:api-keys"
	manageKeys      = "manage:api-keys"
	viewProjects    = "view:projects"
	manageProjects  = "manage:projects"
	viewInstances   = "view:instances"
	manageInstances = "manage:instances"
	viewPresets     = "view:presets"
	managePresets   = "manage:presets"
	viewAudit       = "view:audit"
	viewApprovals   = "view:approvals"
	manageApprovals = "manage:approvals"
	viewTenant      = "view:tenant"
	manageTenant    = "manage:tenant"
	viewTenants     = "view:tenants"
	manageTenants   = "manage:tenants"
)

// mount registers a shape's routes, one handler for each path.
func (h *Handler) mount(s shape) {
	byPath := map[string][]route{}
	for _, r := range s.routes {
		byPath[r.path] = append(byPath[r.path], r)
	}
	for path, routes := range byPath {
		methods := []string{}
		for _, r := range routes {
			methods = append(methods, r.method)
			if r.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
		h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if !allowed(w, r, methods...) {
				return
			}
			i := slices.IndexFunc(routes, func(one route) bool {
				return one.method == r.Method || one.method == http.MethodGet && r.Method == http.MethodHead
			})
			h.serve(w, r, s, routes[i])
		})
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, s shape, one route) {
	var (
		p    keys.Principal
		body any
		err  error
	)
	if one.needs != anyone {
		p, err = h.admit(r, s)
	}
	ctx, edits := keys.WithReceipt(r.Context())
	if err == nil {
		r = r.WithContext(ctx)
		c := &call{r: r, edits: edits, w: w, principal: p, words: s.words, maxBody: h.cfg.MaxBody, svc: h.cfg.Service,
			operation: one.operation, needs: one.needs}
		body, err = one.serve(c)
	}
	var refused *refusedImport
	if errors.As(err, &refused) {
		refused.answerTo(w)
		return
	}
	if err != nil {
		problem := problemOf(err)
		if problem.Status >= http.StatusInternalServerError {
			h.cfg.Log.Error("request failed", zap.String("operation", one.operation), zap.Error(err))
		}
		retryAfter(w.Header(), err)
		Refuse(w, r, problem)
		return
	}
	if done := edits.Last(); done.Epoch > 0 {
		w.Header().Set(epochHeader, strconv.FormatInt(done.Epoch, 10))
	}
	if err := answer(w, one.status, body); err != nil {
		h.cfg.Log.Error("request failed", zap.String("operation", one.operation), zap.Error(err))
		w.Header().Del("ETag")
		Refuse(w, r, internal())
	}
}

// epochHeader tells which edit the request was. No replica decides without it
// when it is answered.
const epochHeader = "Bailiwick-Epoch"

// admit answers who asks, once the credential, the tenant and the scope let
// them in.
func (h *Handler) admit(r *http.Request, s shape) (keys.Principal, error) {
	p, _, err := h.cfg.Authenticate(r)
	if several, ok := asInvalid(err); ok {
		return p, malformed("several_credentials", several.Error(), several.Fields...)
	}
	if err != nil {
		return p, err
	}
	tenant := p.Tenant()
	for _, named := range s.tenants(r) {
		if named != tenant.ID && named != tenant.Slug {
			return p, keys.ErrNotFound
		}
	}
	if !p.Scope().OpensAPI() {
		return p, &fault{wire.NewProblem(http.StatusForbidden, "scope_denied",
			"this key's scope does not open the REST API: use a key of scope full or api")}
	}
	return p, nil
}

func allowed(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	allow := strings.Join(methods, ", ")
	w.Header().Set("Allow", allow)
	Refuse(w, r, wire.NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path answers to "+allow))
	return false
}

// answer encodes the body before it says anything: where it fails, nothing was
// answered yet.
func answer(w http.ResponseWriter, status int, body any) error {
	if status == http.StatusNoContent {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		return nil
	}
	var data bytes.Buffer
	if err := wire.WriteJSON(&data, body); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(data.Bytes())
	return nil
}
