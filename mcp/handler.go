package mcp

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// Handler serves /mcp and /mcp/{instance} (streamable HTTP of both eras), and
// /sse with /message (the HTTP+SSE transport of 2024-11-05).
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/mcp", g.guard(g.serveMCP, "GET", "POST", "DELETE"))
	mux.HandleFunc("/mcp/{instance}", g.guard(g.serveMCP, "GET", "POST", "DELETE"))
	mux.HandleFunc("/sse", g.guard(g.serveSSE, "GET"))
	mux.HandleFunc("/message", g.guard(g.serveMessage, "POST"))
	return mux
}

// Refusal is the 403 for a Host or Origin that may not reach the server, else
// nil. Handler asks it by itself; what is served beside it can ask as well.
func (g *Gateway) Refusal(r *http.Request) *wire.Problem { return g.front.refusal(r) }

// visit is an HTTP request whose credential counts and whose key may speak MCP.
type visit struct {
	w         http.ResponseWriter
	r         *http.Request
	principal keys.Principal
	tenant    *tenant
	narrowing narrowing // of this request alone
	edits     int64     // seen before the credential was checked
}

// guard lets only requests through that come from where they may, with a
// credential that counts, of a key that may speak MCP now, on a path that the
// key may know of. The body is not looked at before that.
func (g *Gateway) guard(serve func(*visit), methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p := g.front.refusal(r); p != nil {
			p.Answer(w)
			return
		}
		corsHeaders(w, r)
		if r.Method == http.MethodOptions {
			preflight(w, r)
			return
		}
		v, problem := g.enter(w, r)
		if problem != nil {
			problem.Answer(w)
			return
		}
		if !slices.Contains(methods, r.Method) {
			allowed := strings.Join(methods, ", ")
			w.Header().Set("Allow", allowed)
			wire.NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path answers "+allowed).Answer(w)
			return
		}
		serve(v)
	}
}

func (g *Gateway) enter(w http.ResponseWriter, r *http.Request) (*visit, *wire.Problem) {
	edits := g.edits.Load()
	p, _, err := g.cfg.Authenticate(r)
	if err != nil {
		problem := credentialProblem(err)
		return nil, &problem
	}
	if problem := g.mayConnect(r.Context(), p, "http "+r.Method); problem != nil {
		return nil, problem
	}
	v := &visit{w: w, r: r, principal: p, tenant: g.tenantOf(p.TenantID()), edits: edits}
	slug := r.PathValue("instance")
	if v.narrowing, err = narrowingOf(r.Header, r.URL.RawQuery, slug); err != nil {
		problem := wire.NewProblem(http.StatusBadRequest, "malformed", err.Error())
		return nil, &problem
	}
	if slug != "" && !g.showsInstance(v, slug) {
		problem := wire.NewProblem(http.StatusNotFound, "not_found", "no such instance")
		return nil, &problem
	}
	return v, nil
}

// showsInstance tells whether the key may know of an instance: it reaches it
// and sees something of it, or may well see a tool when its tools are known.
func (g *Gateway) showsInstance(v *visit, slug string) bool {
	g.awaitLoaded(v.r.Context())
	c := v.tenant.catalog.Load()
	if c == nil || c.slugs[slug] == nil {
		return false
	}
	s := c.slugs[slug]
	r := &request{principal: v.principal, tenant: v.tenant, msg: &message{}}
	if !s.known {
		return g.mayKnow(r, &s.instance)
	}
	if !g.reaches(r, s.mount) {
		return false
	}
	q := question{principal: v.principal, catalog: c, now: g.cfg.Now()}
	for k := range s.indices {
		if len(s.indices[k]) > 0 && s.shows(kind(k), visible(q, kind(k))) {
			return true
		}
	}
	return false
}

// readBody reads a JSON body of bounded size; on a fault it has answered.
func (g *Gateway) readBody(v *visit) ([]byte, bool) {
	if !isJSON(v.r.Header.Get("Content-Type")) {
		wire.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Type must be application/json").Answer(v.w)
		return nil, false
	}
	// RFC 9110, 8.4: what is coded is not what it seems, to us or to a proxy
	// that reads along.
	for _, coding := range v.r.Header.Values("Content-Encoding") {
		if !strings.EqualFold(coding, "identity") {
			v.w.Header().Set("Accept-Encoding", "identity")
			wire.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Encoding must be identity: send the body as it is").Answer(v.w)
			return nil, false
		}
	}
	if v.r.ContentLength > g.cfg.MaxBody {
		g.tooLarge(v)
		return nil, false
	}
	body, err := readAll(http.MaxBytesReader(v.w, v.r.Body, g.cfg.MaxBody), v.r.ContentLength)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		g.tooLarge(v)
		return nil, false
	case err != nil:
		wire.NewProblem(http.StatusBadRequest, "malformed", "the body could not be read").Answer(v.w)
		return nil, false
	}
	return body, true
}

func isJSON(contentType string) bool {
	if contentType == "application/json" { // as nearly all send it
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == "application/json"
}

// readAll reads to the end, into one buffer where the length is said before;
// that is not believed beyond what a small message takes.
func readAll(body io.Reader, length int64) ([]byte, error) {
	const believed = 64 << 10
	if length < 0 || length > believed {
		return io.ReadAll(body)
	}
	b := make([]byte, 0, length+1) // one more, so that the end is met
	for {
		n, err := body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		case len(b) == cap(b): // longer than it said
			b = append(b, 0)[:len(b)]
		}
	}
}

func (g *Gateway) tooLarge(v *visit) {
	v.w.Header().Set("Connection", "close")
	wire.NewProblem(http.StatusRequestEntityTooLarge, "too_large", "the message is larger than this server takes").Answer(v.w)
}

// readHTTPMessage reads one message; on a fault it has answered.
func (g *Gateway) readHTTPMessage(v *visit) (*message, bool) {
	body, ok := g.readBody(v)
	if !ok {
		return nil, false
	}
	m, err := readMessage(body)
	var bad *envelopeError
	if errors.As(err, &bad) {
		r := failure(bad.id, bad.code, bad.problem, nil)
		r.status = http.StatusBadRequest
		writeReply(v.w, r)
		return nil, false
	}
	return m, true
}

// modern tells whether the body or the header declares 2026-07-28 or later.
func modern(m *message, header http.Header) bool {
	return mcpgo.IsModernProtocol(m.version) || mcpgo.IsModernProtocol(header.Get(mcpgo.HeaderProtocolVersion))
}
