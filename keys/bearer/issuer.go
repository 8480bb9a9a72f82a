package bearer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const (
	freshFor   = 10 * time.Minute // after which the keys are fetched again
	usableFor  = time.Hour        // for which they count while that fails
	coolDown   = 2 * time.Second  // between attempts without keys
	fetchLimit = 5 * time.Second

	// An unknown kid makes the keys be fetched again, several times at once at
	// most and on average once in unknownKeyEvery, whoever makes kids up.
	unknownKeyEvery = 30 * time.Second
	unknownKeyBurst = 4

	maxDocument = 1 << 20 // bytes
	maxKeys     = 100
	minRSA      = 2048 // bits (RFC 7518, section 3.3)
)

// issuer is an OpenID provider with the keys that it publishes (OpenID Connect
// Discovery 1.0; RFC 7517).
type issuer struct {
	url     string
	client  *http.Client
	now     func() time.Time
	log     *zap.Logger
	unknown *rate.Limiter
	turn    chan struct{} // holds one place: who fetches

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys were
	tried   time.Time // when they were asked for last
}

func newIssuer(url string, cfg JWTConfig) *issuer {
	return &issuer{url: url, client: cfg.Client, now: cfg.Now, log: cfg.Log, turn: make(chan struct{}, 1),
		unknown: rate.NewLimiter(rate.Every(unknownKeyEvery), unknownKeyBurst)}
}

// newClient follows no redirects: an issuer's documents are where it says.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: transport, Timeout: fetchLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// CheckIssuer holds an issuer to https (OpenID Connect Discovery 1.0, section
// 3), but for one on this machine.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.ContainsAny(issuer, "#| "):
		return fmt.Errorf("an issuer must be a URL like https://idp.example.com/realm, without user, query or fragment")
	case !secure(u):
		return fmt.Errorf("an issuer must have https, unless it is on a loopback address")
	}
	return nil
}

func secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// verify checks a signature with the issuer's keys. Where none has the token's
// kid, the issuer may have a new one, and is asked once. keys.ErrUnavailable
// when there are no keys to check with.
func (i *issuer) verify(ctx context.Context, signed *jose.JSONWebSignature, h header) error {
	known, err := i.current(ctx)
	if err != nil {
		return err
	}
	found, ok := verifiedBy(known, signed, h)
	if ok {
		return nil
	}
	if found && h.kid != "" || !i.unknown.AllowN(i.now(), 1) {
		return refused("no key of its issuer has signed it")
	}
	if known, err = i.fetch(ctx); err != nil {
		return refused("no known key of its issuer has signed it, and the issuer can't be reached for new ones")
	}
	if _, ok = verifiedBy(known, signed, h); !ok {
		return refused("no key of its issuer has signed it")
	}
	return nil
}

// verifiedBy tells whether a key fits the header, and whether one has signed.
// Without a kid, all that fit the algorithm are tried.
func verifiedBy(known []jose.JSONWebKey, signed *jose.JSONWebSignature, h header) (found, ok bool) {
	for n := range known {
		key := &known[n]
		if h.kid != "" && key.KeyID != h.kid {
			continue
		}
		found = true
		if !fits(key, h.alg) {
			continue
		}
		if _, err := signed.Verify(key.Key); err == nil {
			return true, true
		}
	}
	return found, false
}

// fits tells whether a key is one for the algorithm (RFC 8725, section 3.1).
func fits(key *jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return (strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")) && public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return alg == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[public.Curve.Params().Name]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// current answers the keys to check with, and fetches them where there are
// none, or old ones. With old ones only one request at a time waits for that.
func (i *issuer) current(ctx context.Context) ([]jose.JSONWebKey, error) {
	i.mu.Lock()
	known, age, sinceTry, tried := i.keys, i.now().Sub(i.fetched), i.now().Sub(i.tried), !i.tried.IsZero()
	i.mu.Unlock()
	if known == nil || age >= usableFor {
		if tried && sinceTry < coolDown && known == nil {
			return nil, i.unavailable()
		}
		return i.fetch(ctx)
	}
	if age < freshFor || sinceTry < unknownKeyEvery {
		return known, nil
	}
	select {
	case i.turn <- struct{}{}:
	default:
		return known, nil
	}
	defer func() { <-i.turn }()
	if renewed, err := i.fetchNow(ctx); err == nil {
		return renewed, nil
	}
	return known, nil
}

func (i *issuer) unavailable() error {
	return fmt.Errorf("%w: the keys of issuer %s can't be fetched", keys.ErrUnavailable, i.url)
}

// fetch waits for its turn; what another one has fetched meanwhile is taken.
func (i *issuer) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	asked := i.now()
	select {
	case i.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, i.unavailable()
	}
	defer func() { <-i.turn }()
	i.mu.Lock()
	known, fetched, tried := i.keys, i.fetched, i.tried
	i.mu.Unlock()
	switch {
	case fetched.After(asked):
		return known, nil
	case tried.After(asked):
		return nil, i.unavailable()
	}
	return i.fetchNow(ctx)
}

// fetchNow asks the issuer. It goes on when the client goes away: others wait.
func (i *issuer) fetchNow(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchLimit)
	defer cancel()
	known, err := i.ask(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tried = i.now()
	if err != nil {
		i.log.Warn("the keys of an OIDC issuer can't be fetched", zap.String("issuer", i.url), zap.Error(err))
		if i.now().Sub(i.fetched) >= usableFor {
			i.keys = nil
		}
		return nil, i.unavailable()
	}
	i.keys, i.fetched = known, i.tried
	return known, nil
}

// ask reads the discovery document and the key set that it points to.
func (i *issuer) ask(ctx context.Context) ([]jose.JSONWebKey, error) {
	var document struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := i.get(ctx, strings.TrimSuffix(i.url, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return nil, err
	}
	if document.Issuer != i.url {
		return nil, fmt.Errorf("its discovery document is that of issuer %q", document.Issuer)
	}
	at, err := url.Parse(document.Keys)
	if err != nil || at.Host == "" || !secure(at) || strings.HasPrefix(i.url, "https:") && at.Scheme != "https" {
		return nil, fmt.Errorf("its jwks_uri %q is not an https URL", document.Keys)
	}
	// One by one, so that a key of a kind that is not known here harms no other.
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.get(ctx, document.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	out := []jose.JSONWebKey{}
	for _, one := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil && key.IsPublic() {
			out = append(out, key)
		}
	}
	return out, nil
}

func (i *issuer) get(ctx context.Context, url string, v any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := i.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: HTTP %d", url, answer.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	if len(data) > maxDocument {
		return fmt.Errorf("GET %s: more than %d bytes", url, maxDocument)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("GET %s: not the JSON that is expected", url)
	}
	return nil
}
