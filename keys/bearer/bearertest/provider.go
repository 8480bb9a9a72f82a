package bearertest

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Audience is the aud of tokens that are ordered without one.
const Audience = "https://bailiwick.example"

// Provider is one issuer. It serves
//
//	GET  /.well-known/openid-configuration, /jwks
//	POST /control/token    an Order, answered with the token as text
//	POST /control/rotate   new keys in place of the old
//	POST /control/silence  from now on the documents are 503
//	POST /control/speak    and here again
//	GET  /control/seen     how often each path was asked for, as an object
type Provider struct {
	issuer string

	mu     sync.Mutex
	keys   []signingKey
	age    int // generation of keys
	silent bool
	seen   map[string]int
}

// New makes an issuer with its keys; the URL is where it is served.
func New(issuer string) *Provider {
	p := &Provider{issuer: issuer, seen: map[string]int{}}
	p.Rotate()
	return p
}

// Rotate gives the issuer new keys, under new names.
func (p *Provider) Rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.age++
	p.keys = newKeys(p.age)
}

// Silence makes the documents unavailable, or available again.
func (p *Provider) Silence(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = on
}

// Seen is how often a path was asked for.
func (p *Provider) Seen(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[path]
}

// ServeHTTP serves the documents and the controls.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/control/token":
		var o Order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		token, err := p.Token(o)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(token))
	case "/control/rotate":
		p.Rotate()
	case "/control/silence", "/control/speak":
		p.Silence(r.URL.Path == "/control/silence")
	case "/control/seen":
		p.mu.Lock()
		defer p.mu.Unlock()
		answer(w, p.seen)
	default:
		p.document(w, r.URL.Path)
	}
}

func (p *Provider) document(w http.ResponseWriter, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[path]++
	switch {
	case p.silent:
		http.Error(w, "silent", http.StatusServiceUnavailable)
	case path == "/.well-known/openid-configuration":
		answer(w, map[string]any{"issuer": p.issuer, "jwks_uri": p.issuer + "/jwks",
			"authorization_endpoint": p.issuer + "/auth", "token_endpoint": p.issuer + "/token"})
	case path == "/jwks":
		// Of a kind that nobody knows, and a secret: neither may do harm.
		set := []any{map[string]any{"kty": "new", "kid": "new"}, map[string]any{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}}
		for _, k := range p.keys {
			set = append(set, k.public())
		}
		answer(w, map[string]any{"keys": set})
	default:
		http.NotFound(w, nil)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
