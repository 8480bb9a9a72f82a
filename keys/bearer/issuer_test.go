package bearer_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer/bearertest"
)

func TestRotation(t *testing.T) {
	i := newInn(t)
	old := i.good(nil)
	if _, err := i.ask(old); err != nil {
		t.Fatal(err)
	}
	i.idp.Rotate()
	if _, err := i.ask(i.good(nil)); err != nil {
		t.Errorf("signed with a new key: %v", err)
	}
	if _, err := i.ask(old); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("signed with a key that was taken back: %v", err)
	}
	asked := i.idp.Seen("/jwks")
	i.advance(5 * time.Minute)
	if _, err := i.ask(i.good(nil)); err != nil || i.idp.Seen("/jwks") != asked {
		t.Errorf("after 5 minutes: %v, asked %d times", err, i.idp.Seen("/jwks")-asked)
	}
	i.idp.Rotate()
	i.advance(6 * time.Minute) // nobody has shown a new kid; the keys are old
	if _, err := i.ask(i.token(bearertest.Order{Header: map[string]any{"kid": nil}, Claims: map[string]any{"tenant": "default"}})); err != nil {
		t.Errorf("without a kid: %v", err)
	}
}

// TestMadeUpKids: who makes kids up can't make the issuer be asked for each.
func TestMadeUpKids(t *testing.T) {
	i := newInn(t)
	tokens := make([]string, 200)
	for n := range tokens {
		tokens[n] = i.token(bearertest.Order{Header: map[string]any{"kid": fmt.Sprint("made-up-", n)}, Claims: map[string]any{"tenant": "default"}})
	}
	for _, token := range tokens {
		if _, err := i.ask(token); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%v", err)
		}
	}
	if n := i.idp.Seen("/jwks"); n < 2 || n > 6 {
		t.Errorf("the issuer was asked %d times", n)
	}
	before := i.idp.Seen("/jwks")
	i.idp.Rotate()
	i.advance(time.Minute)
	if _, err := i.ask(i.good(nil)); err != nil || i.idp.Seen("/jwks") != before+1 {
		t.Errorf("a real one later: %v, asked %d times", err, i.idp.Seen("/jwks")-before)
	}
}

func TestIssuerThatIsDown(t *testing.T) {
	i := newInn(t)
	token := i.good(nil)
	i.idp.Silence(true)
	if _, err := i.ask(token); !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("down at first: %v", err)
	}
	if _, err := i.ask(i.key); err != nil {
		t.Errorf("an API key meanwhile: %v", err)
	}
	for range 20 {
		_, _ = i.ask(token)
	}
	if n := i.idp.Seen("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("asked %d times within a moment", n)
	}
	i.idp.Silence(false)
	i.advance(3 * time.Second)
	if _, err := i.ask(token); err != nil {
		t.Errorf("back again: %v", err)
	}
	i.idp.Silence(true)
	i.advance(30 * time.Minute)
	if _, err := i.ask(token); err != nil {
		t.Errorf("down for half an hour, with keys from before: %v", err)
	}
	asked := i.idp.Seen("/.well-known/openid-configuration")
	for range 20 {
		_, _ = i.ask(token)
	}
	if n := i.idp.Seen("/.well-known/openid-configuration") - asked; n != 0 {
		t.Errorf("asked %d times more within a moment", n)
	}
	i.advance(31 * time.Minute)
	late := i.good(map[string]any{"exp": i.now().Add(time.Hour).Unix()})
	if _, err := i.ask(late); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("down for longer than keys count: %v", err)
	}
}

// TestSlowIssuer: an issuer that does not answer makes one request wait, and
// not those that have keys to go by.
func TestSlowIssuer(t *testing.T) {
	i := newInn(t)
	held, release, waiting := make(chan struct{}), make(chan struct{}), &atomic.Int32{}
	jwts, err := bearer.NewJWTs(bearer.JWTConfig{Issuers: []string{i.url}, Audiences: []string{bearertest.Audience}, Subjects: i, Now: i.now,
		Client: &http.Client{Transport: holding(func() {
			if waiting.Add(1) == 3 { // both documents were fetched once
				close(held)
				<-release
			}
		})}})
	i.must(err)
	i.auth.JWTs = jwts
	token := i.good(nil)
	if _, err := i.ask(token); err != nil {
		t.Fatal(err)
	}
	i.advance(20 * time.Minute)
	first := make(chan error)
	go func() { _, err := i.ask(token); first <- err }()
	select {
	case <-held:
	case err := <-first:
		t.Fatalf("the keys were not fetched again: %v", err)
	}
	for range 5 {
		if _, err := i.ask(token); err != nil {
			t.Error(err)
		}
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

type holding func()

func (h holding) RoundTrip(r *http.Request) (*http.Response, error) {
	h()
	return http.DefaultTransport.RoundTrip(r)
}

// TestIssuersDocuments: what is not the issuer's own word gives no keys.
func TestIssuersDocuments(t *testing.T) {
	for name, wrong := range map[string]func(w http.ResponseWriter, r *http.Request, i *inn) bool{
		"another issuer": func(w http.ResponseWriter, r *http.Request, i *inn) bool {
			return discovery(w, r, i.url+"/", i.url+"/jwks")
		},
		"keys in a file": func(w http.ResponseWriter, r *http.Request, i *inn) bool {
			return discovery(w, r, i.url, "file:///etc/passwd")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request, i *inn) bool {
			if r.URL.Path == "/elsewhere" { // where the right keys are
				r.URL.Path = "/jwks"
				return false
			}
			if r.URL.Path == "/jwks" {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
			}
			return r.URL.Path == "/jwks"
		},
		"endless": func(w http.ResponseWriter, r *http.Request, i *inn) bool {
			if r.URL.Path == "/jwks" {
				_, _ = w.Write([]byte(`{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`))
			}
			return r.URL.Path == "/jwks"
		},
		"no JSON": func(w http.ResponseWriter, r *http.Request, i *inn) bool {
			if r.URL.Path == "/jwks" {
				_, _ = w.Write([]byte(`<html>`))
			}
			return r.URL.Path == "/jwks"
		},
	} {
		var i *inn
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !wrong(w, r, i) {
				i.idp.ServeHTTP(w, r)
			}
		}))
		i = newInn(t, func(c *bearer.JWTConfig) { c.Issuers = []string{server.URL} })
		i.url, i.idp = server.URL, bearertest.New(server.URL)
		if _, err := i.ask(i.good(nil)); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

// TestKeysInClear: keys that come over an open line are not looked at, though
// they would be the right ones.
func TestKeysInClear(t *testing.T) {
	i := newInn(t)
	var hosts []string
	for _, at := range []string{"http://idp.example/jwks", i.url + "/jwks"} {
		jwts, err := bearer.NewJWTs(bearer.JWTConfig{Issuers: []string{i.url}, Audiences: []string{bearertest.Audience}, Subjects: i,
			Client: &http.Client{Transport: answering(func(r *http.Request) *http.Response {
				w := httptest.NewRecorder()
				hosts = append(hosts, r.URL.Host)
				if !discovery(w, r, i.url, at) {
					i.idp.ServeHTTP(w, r)
				}
				return w.Result()
			})}})
		i.must(err)
		i.auth.JWTs = jwts
		hosts = nil
		_, err = i.ask(i.good(nil))
		if clear := strings.Contains(at, "example"); (err != nil) != clear || clear && len(hosts) != 1 {
			t.Errorf("%s: %v, asked %v", at, err, hosts)
		}
	}
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

func discovery(w http.ResponseWriter, r *http.Request, issuer, jwks string) bool {
	if r.URL.Path != "/.well-known/openid-configuration" {
		return false
	}
	fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer, jwks)
	return true
}

// TestSeveralIssuers: each answers for its own tokens, and a name at one is not
// the same name at another.
func TestSeveralIssuers(t *testing.T) {
	other := httptest.NewServer(nil)
	defer other.Close()
	second := bearertest.New(other.URL)
	other.Config.Handler = second
	i := newInn(t, func(c *bearer.JWTConfig) { c.Issuers = append(c.Issuers, other.URL) })
	theirs, err := second.Token(bearertest.Order{Claims: map[string]any{"tenant": "default"}})
	i.must(err)
	one, err1 := i.ask(i.good(nil))
	two, err2 := i.ask(theirs)
	if err1 != nil || err2 != nil || one.ID() == two.ID() || one.ID() == "" {
		t.Errorf("%q, %v; %q, %v", one.ID(), err1, two.ID(), err2)
	}
	crossed, err := second.Token(bearertest.Order{Claims: map[string]any{"tenant": "default", "iss": i.url}})
	i.must(err)
	if _, err := i.ask(crossed); !errors.Is(err, keys.ErrBadCredential) {
		t.Errorf("signed by one in the name of the other: %v", err)
	}
	second.Silence(true)
	if _, err := i.ask(i.good(nil)); err != nil {
		t.Errorf("while another is down: %v", err)
	}
}

func TestJWTConfig(t *testing.T) {
	good := bearer.JWTConfig{Issuers: []string{"https://idp.example/a"}, Audiences: []string{"x"}, Subjects: &inn{}}
	if _, err := bearer.NewJWTs(good); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*bearer.JWTConfig){
		"no issuer":    func(c *bearer.JWTConfig) { c.Issuers = nil },
		"no audience":  func(c *bearer.JWTConfig) { c.Audiences = nil },
		"empty one":    func(c *bearer.JWTConfig) { c.Audiences = []string{"x", ""} },
		"no subjects":  func(c *bearer.JWTConfig) { c.Subjects = nil },
		"none":         func(c *bearer.JWTConfig) { c.Algorithms = []string{"RS256", "none"} },
		"HS256":        func(c *bearer.JWTConfig) { c.Algorithms = []string{"HS256"} },
		"in clear":     func(c *bearer.JWTConfig) { c.Issuers = []string{"http://idp.example"} },
		"no URL":       func(c *bearer.JWTConfig) { c.Issuers = []string{"idp.example"} },
		"a query":      func(c *bearer.JWTConfig) { c.Issuers = []string{"https://idp.example?x"} },
		"a user":       func(c *bearer.JWTConfig) { c.Issuers = []string{"https://a:b@idp.example"} },
		"a separator":  func(c *bearer.JWTConfig) { c.Issuers = []string{"https://idp.example/a|b"} },
		"of a file":    func(c *bearer.JWTConfig) { c.Issuers = []string{"file:///etc/idp"} },
		"not loopback": func(c *bearer.JWTConfig) { c.Issuers = []string{"http://127.0.0.1.evil.example"} },
	} {
		cfg := good
		edit(&cfg)
		if _, err := bearer.NewJWTs(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
