package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer/bearertest"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// inn is a service behind an Authenticator that knows one issuer.
type inn struct {
	t       testing.TB
	idp     *bearertest.Provider
	url     string // of the issuer
	ahead   time.Duration
	mu      sync.Mutex
	svc     *keys.Service
	key     string // an API key
	tenant  keys.Tenant
	asked   []string // of the API keys' authenticator
	auth    bearer.Authenticator
	claimed []keys.SubjectClaims
}

func (i *inn) now() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Now().Add(i.ahead)
}

func (i *inn) advance(d time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ahead += d
}

// Authenticate notes what is looked up as an API key.
func (i *inn) Authenticate(ctx context.Context, token keys.Secret) (keys.Principal, error) {
	i.asked = append(i.asked, token.Reveal())
	return i.svc.Authenticate(ctx, token)
}

// Subject notes what is claimed.
func (i *inn) Subject(ctx context.Context, c keys.SubjectClaims) (keys.Principal, error) {
	i.claimed = append(i.claimed, c)
	return i.svc.Subject(ctx, c)
}

func newInn(t testing.TB, edits ...func(*bearer.JWTConfig)) *inn {
	t.Helper()
	i := &inn{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.idp.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	i.url = server.URL
	i.idp = bearertest.New(server.URL)
	var err error
	i.svc, err = keys.New(t.Context(), keys.Config{Store: keystest.NewMemory(), Now: i.now,
		Root: keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}})
	i.must(err)
	first, err := i.svc.Bootstrap(t.Context())
	i.must(err)
	i.key = first.Reveal()
	op, err := i.svc.Operator(t.Context(), "default")
	i.must(err)
	i.tenant = op.Tenant()
	_, err = i.svc.CreateTenant(t.Context(), i.svc.PlatformOperator(), keys.NewTenant{Slug: "other", Name: "Other"})
	i.must(err)
	cfg := bearer.JWTConfig{Issuers: []string{i.url}, Audiences: []string{bearertest.Audience}, Subjects: i, Now: i.now}
	for _, edit := range edits {
		edit(&cfg)
	}
	jwts, err := bearer.NewJWTs(cfg)
	i.must(err)
	i.auth = bearer.Authenticator{APIKeys: i, JWTs: jwts}
	return i
}

func (i *inn) must(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *inn) token(o bearertest.Order) string {
	i.t.Helper()
	token, err := i.idp.Token(o)
	i.must(err)
	return token
}

// good is a token for the tenant default, with more claims.
func (i *inn) good(claims map[string]any) string {
	i.t.Helper()
	all := map[string]any{"tenant": "default"}
	for name, value := range claims {
		all[name] = value
	}
	return i.token(bearertest.Order{Claims: all})
}

func (i *inn) ask(token string, headers ...string) (keys.Principal, error) {
	r := httptest.NewRequest("GET", "/api/tenant", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	for n := 0; n < len(headers); n += 2 {
		r.Header.Add(headers[n], headers[n+1])
	}
	p, _, err := i.auth.Authenticate(r)
	if err != nil && (p.Valid() || strings.Contains(err.Error(), token)) {
		i.t.Errorf("%v beside %v", p.Actor(), err)
	}
	return p, err
}

func TestJWT(t *testing.T) {
	i := newInn(t)
	for _, alg := range bearer.DefaultAlgorithms() {
		p, err := i.ask(i.token(bearertest.Order{Alg: alg, Claims: map[string]any{"tenant": i.tenant.ID}}))
		if err != nil || p.TenantID() != i.tenant.ID || p.Claims().Subject != "alice" || p.Claims().Issuer != i.url {
			t.Errorf("%s: %+v, %v", alg, p.Claims(), err)
		}
	}
	if len(i.asked) != 0 {
		t.Errorf("looked up as API keys: %v", i.asked)
	}
	if p, err := i.ask(i.key); err != nil || p.IsSubject() {
		t.Errorf("an API key beside: %v", err)
	}
	if n := i.idp.Seen("/jwks"); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// TestJWTThatDoesNotCount is RFC 8725, case by case.
func TestJWTThatDoesNotCount(t *testing.T) {
	i := newInn(t)
	fetched := make(chan string, 100)
	attacker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched <- r.URL.Path
		i.idp.ServeHTTP(w, r)
	}))
	t.Cleanup(attacker.Close)
	now := time.Now()
	type object = map[string]any
	claims := func(more object) bearertest.Order {
		all := object{"tenant": "default"}
		for name, value := range more {
			all[name] = value
		}
		return bearertest.Order{Claims: all}
	}
	with := func(o bearertest.Order, header object) bearertest.Order {
		o.Header = header
		if o.Claims == nil {
			o.Claims = object{"tenant": "default"}
		}
		return o
	}
	tests := map[string]bearertest.Order{
		"alg none":               with(bearertest.Order{Alg: "none"}, nil),
		"alg None":               with(bearertest.Order{Alg: "none"}, object{"alg": "None"}),
		"alg HS256":              with(bearertest.Order{Alg: "HS256"}, nil),
		"HS256, called RS256":    with(bearertest.Order{Alg: "HS256"}, object{"alg": "RS256"}),
		"RS256, called PS256":    with(bearertest.Order{Alg: "RS256"}, object{"alg": "PS256"}),
		"RS256 of the ec key":    with(bearertest.Order{Alg: "RS256"}, object{"kid": "ec-1"}),
		"not an accepted alg":    with(bearertest.Order{Alg: "RS256"}, object{"alg": "RS384"}),
		"alg is no string":       with(bearertest.Order{}, object{"alg": 1}),
		"another's signature":    with(bearertest.Order{Stranger: true}, nil),
		"unknown kid":            with(bearertest.Order{Stranger: true}, object{"kid": "nobody"}),
		"no kid, another's":      with(bearertest.Order{Stranger: true}, object{"kid": nil}),
		"kid of the secret key":  with(bearertest.Order{Alg: "HS256"}, object{"kid": "oct", "alg": "RS256"}),
		"kid is no string":       with(bearertest.Order{}, object{"kid": object{}}),
		"jku":                    with(bearertest.Order{Stranger: true}, object{"jku": attacker.URL + "/jwks"}),
		"x5u":                    with(bearertest.Order{Stranger: true}, object{"x5u": attacker.URL + "/cert"}),
		"crit":                   with(bearertest.Order{}, object{"crit": []string{"exp"}, "exp": 1}),
		"crit, empty":            with(bearertest.Order{}, object{"crit": []string{}}),
		"b64":                    with(bearertest.Order{}, object{"crit": []string{"b64"}, "b64": true}),
		"typ of a logout token":  with(bearertest.Order{}, object{"typ": "logout+jwt"}),
		"typ of a DPoP proof":    with(bearertest.Order{}, object{"typ": "dpop+jwt"}),
		"typ is no string":       with(bearertest.Order{}, object{"typ": []string{"JWT"}}),
		"no iss":                 claims(object{"iss": nil}),
		"iss of another":         claims(object{"iss": attacker.URL}),
		"iss with a slash":       claims(object{"iss": i.url + "/"}),
		"iss in other case":      claims(object{"iss": strings.ToUpper(i.url)}),
		"iss as a list":          claims(object{"iss": []string{i.url}}),
		"no aud":                 claims(object{"aud": nil}),
		"aud of another":         claims(object{"aud": "https://other.example"}),
		"aud, a part":            claims(object{"aud": bearertest.Audience + "/x"}),
		"aud, empty":             claims(object{"aud": []string{}}),
		"aud with a null":        claims(object{"aud": []any{bearertest.Audience, nil}}),
		"aud as an object":       claims(object{"aud": object{bearertest.Audience: 1}}),
		"no sub":                 claims(object{"sub": nil}),
		"sub, empty":             claims(object{"sub": ""}),
		"sub, a number":          claims(object{"sub": 1}),
		"sub, long":              claims(object{"sub": strings.Repeat("x", 256)}),
		"sub with a line":        claims(object{"sub": "a\nb"}),
		"no exp":                 claims(object{"exp": nil}),
		"expired":                claims(object{"exp": now.Add(-time.Second).Unix()}),
		"exp as a string":        claims(object{"exp": "9999999999"}),
		"exp, huge":              claims(object{"exp": 1e300}),
		"exp, negative":          claims(object{"exp": -1}),
		"nbf ahead":              claims(object{"nbf": now.Add(2 * time.Minute).Unix()}),
		"nbf as a string":        claims(object{"nbf": "1"}),
		"iat ahead":              claims(object{"iat": now.Add(2 * time.Minute).Unix()}),
		"bound to a key":         claims(object{"cnf": object{"jkt": "x"}}),
		"unknown tenant":         claims(object{"tenant": "nowhere"}),
		"tenant, empty":          claims(object{"tenant": ""}),
		"tenant, a list":         claims(object{"tenant": []string{"default"}}),
		"permissions, a number":  claims(object{"scope": 1}),
		"permissions with a num": claims(object{"scope": []any{"view:tenant", 1}}),
	}
	for name, order := range tests {
		token := i.token(order)
		i.claimed = nil
		if _, err := i.ask(token); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%s: %v", name, err)
		}
		// What only the Service can know, or knows as well, is left to it.
		late := slices.Contains([]string{"unknown tenant", "sub, long", "sub with a line"}, name)
		if (len(i.claimed) > 0) != late {
			t.Errorf("%s: the Service is asked about %+v", name, i.claimed)
		}
	}
	if len(i.asked) != 0 {
		t.Errorf("%d of them were looked up as API keys", len(i.asked))
	}
	for len(fetched) > 0 {
		t.Errorf("the token's own URL was fetched: %s", <-fetched)
	}
	if _, err := i.ask(i.good(nil)); err != nil {
		t.Errorf("a good one after them: %v", err)
	}
}

// TestJWTThatCounts are right though unusual.
func TestJWTThatCounts(t *testing.T) {
	i := newInn(t)
	now := time.Now()
	type object = map[string]any
	for name, order := range map[string]bearertest.Order{
		"no kid":             {Header: object{"kid": nil}},
		"no kid, EdDSA":      {Alg: "EdDSA", Header: object{"kid": nil}},
		"no typ":             {Header: object{"typ": nil}},
		"typ of RFC 9068":    {Header: object{"typ": "at+jwt"}},
		"the whole type":     {Header: object{"typ": "application/at+JWT"}},
		"jku beside":         {Header: object{"jku": "http://127.0.0.1:1/jwks"}},
		"one of several aud": {Claims: object{"aud": []string{"https://other.example", bearertest.Audience}}},
		"clocks that differ": {Claims: object{"nbf": now.Add(30 * time.Second).Unix(), "iat": now.Add(30 * time.Second).Unix()}},
		"a broken second":    {Claims: object{"exp": float64(now.Add(time.Hour).Unix()) + 0.5}},
		"no iat":             {Claims: object{"iat": nil}},
	} {
		if order.Claims == nil {
			order.Claims = object{}
		}
		order.Claims["tenant"] = "default"
		if _, err := i.ask(i.token(order)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
