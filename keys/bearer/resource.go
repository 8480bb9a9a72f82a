package bearer

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The places of the metadata (RFC 9728, section 3.1): of the REST API, and of
// the MCP endpoint, which clients look for under its own path.
const (
	MetadataPath    = "/.well-known/oauth-protected-resource"
	MCPMetadataPath = MetadataPath + "/mcp"
)

// Resource tells clients where to get a token for this server (RFC 9728). It is
// for servers with an OIDC issuer only.
type Resource struct {
	Issuers   []string
	PublicURL string // "" = as the request's Host says, which must be checked before
}

// metadata is the document, RFC 9728, section 2.
type metadata struct {
	Resource string   `json:"resource"`
	Issuers  []string `json:"authorization_servers"`
	Methods  []string `json:"bearer_methods_supported"`
	Scopes   []string `json:"scopes_supported"`
	Name     string   `json:"resource_name"`
}

// ServeHTTP answers the metadata to everybody, at both paths.
func (m Resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	document, err := json.Marshal(metadata{
		Resource: m.base(r) + strings.TrimPrefix(r.URL.Path, MetadataPath), Issuers: m.Issuers,
		Methods: []string{"header"}, Scopes: policy.KnownPermissions(), Name: "Bailiwick",
	})
	if err != nil {
		panic(err) // strings only
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*") // there is no secret in it, and no credential with it
	_, _ = w.Write(document)
}

// Challenge makes each 401 name the metadata (RFC 9728, section 5.1), and say
// of a credential that was sent that it does not count (RFC 6750, section 3.1).
func (m Resource) Challenge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&challenging{ResponseWriter: w, challenge: m.challenge(r)}, r)
	})
}

func (m Resource) challenge(r *http.Request) string {
	place := MetadataPath
	if p := r.URL.Path; p == "/mcp" || strings.HasPrefix(p, "/mcp/") || p == "/sse" || p == "/message" {
		place = MCPMetadataPath
	}
	out := `Bearer resource_metadata="` + m.base(r) + place + `"`
	if len(r.Header["Authorization"])+len(r.Header["X-Api-Key"]) > 0 {
		out += `, error="invalid_token"`
	}
	return out
}

// base is the URL of the server, without a slash at the end.
func (m Resource) base(r *http.Request) string {
	switch {
	case m.PublicURL != "":
		return strings.TrimSuffix(m.PublicURL, "/")
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// challenging puts the challenge into a 401. It passes streaming on.
type challenging struct {
	http.ResponseWriter
	challenge string
}

func (w *challenging) WriteHeader(code int) {
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", w.challenge)
	}
	w.ResponseWriter.WriteHeader(code)
}

// Flush is for handlers that look for http.Flusher.
func (w *challenging) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *challenging) Unwrap() http.ResponseWriter { return w.ResponseWriter }
