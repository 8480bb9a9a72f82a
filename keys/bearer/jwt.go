package bearer

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// JWTConfig says whose JWTs count. Issuers, Audiences and Subjects are required.
type JWTConfig struct {
	Issuers         []string // exactly as their tokens and their discovery document write them
	Audiences       []string // of which a token must name one
	TenantClaim     string   // default "tenant": the tenant's id or slug
	PermissionClaim string   // default "scope": a text with spaces between, or a list of texts
	Algorithms      []string // default DefaultAlgorithms
	Subjects        Subjects
	Client          *http.Client     // of discovery; default one with a timeout and no redirects
	Now             func() time.Time // default time.Now
	Log             *zap.Logger      // of issuers that can't be reached; nil = none
}

// Subjects makes the principal of a verified JWT: *keys.Service does.
type Subjects interface {
	Subject(ctx context.Context, c keys.SubjectClaims) (keys.Principal, error)
}

// DefaultAlgorithms are those accepted where none are named. All are asymmetric
// (RFC 7518, section 3.1; RFC 8037): no other can be configured.
func DefaultAlgorithms() []string { return []string{"RS256", "PS256", "ES256", "EdDSA"} }

var asymmetric = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// JWTs authenticates JWTs by the rules of RFC 8725. It fetches an issuer's keys
// when they are first asked for, so that one that is down keeps nobody else out.
type JWTs struct {
	cfg        JWTConfig
	algorithms []jose.SignatureAlgorithm
	issuers    map[string]*issuer
}

// NewJWTs checks the configuration; its error says what to write instead. It
// asks no issuer.
func NewJWTs(cfg JWTConfig) (*JWTs, error) {
	if cfg.TenantClaim == "" {
		cfg.TenantClaim = "tenant"
	}
	if cfg.PermissionClaim == "" {
		cfg.PermissionClaim = "scope"
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = DefaultAlgorithms()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Client == nil {
		cfg.Client = newClient()
	}
	switch {
	case cfg.Subjects == nil:
		return nil, fmt.Errorf("bearer: JWTConfig.Subjects is required")
	case len(cfg.Issuers) == 0:
		return nil, fmt.Errorf("no issuer is named")
	case len(cfg.Audiences) == 0 || slices.Contains(cfg.Audiences, ""):
		return nil, fmt.Errorf("an audience is needed: the name that tokens for this server have in aud")
	}
	if err := CheckAlgorithms(cfg.Algorithms); err != nil {
		return nil, err
	}
	j := &JWTs{cfg: cfg, issuers: map[string]*issuer{}}
	for _, name := range cfg.Algorithms {
		j.algorithms = append(j.algorithms, jose.SignatureAlgorithm(name))
	}
	for _, url := range cfg.Issuers {
		if err := CheckIssuer(url); err != nil {
			return nil, err
		}
		j.issuers[url] = newIssuer(url, cfg)
	}
	return j, nil
}

// CheckAlgorithms refuses what is not an asymmetric signature's algorithm.
func CheckAlgorithms(names []string) error {
	for _, name := range names {
		if !slices.Contains(asymmetric, name) {
			return fmt.Errorf("unknown algorithm %q: use some of %s", name, strings.Join(asymmetric, ", "))
		}
	}
	return nil
}

// looksLikeJWT tells a JWT in its compact form (RFC 7519, section 3) by two
// dots and a first part that is a JSON object with alg.
func looksLikeJWT(token string) bool {
	if strings.Count(token, ".") != 2 {
		return false
	}
	first, _, _ := strings.Cut(token, ".")
	header, err := objectIn(first)
	return err == nil && header["alg"] != nil
}

// refused is a JWT that does not count. The reason is for the operator's log; it
// holds nothing that the client sent.
func refused(reason string) error {
	return fmt.Errorf("%w: JWT refused: %s", keys.ErrBadJWT, reason)
}

func (j *JWTs) authenticate(r *http.Request, token string) (keys.Principal, error) {
	c, err := j.verify(r.Context(), token)
	if err != nil {
		return keys.Principal{}, err
	}
	return j.subject(r, c)
}

// verify answers the claims of a token whose signature, issuer, audience and
// times are right. The issuer's word is taken before that only to choose
// between the configured ones.
func (j *JWTs) verify(ctx context.Context, token string) (*claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, refused("not three parts")
	}
	h, err := readHeader(parts[0])
	if err != nil {
		return nil, err
	}
	if !slices.Contains(j.cfg.Algorithms, h.alg) {
		return nil, refused("its algorithm is not among the accepted ones")
	}
	c, err := readClaims(parts[1], j.cfg.TenantClaim, j.cfg.PermissionClaim)
	if err != nil {
		return nil, err
	}
	from := j.issuers[c.issuer]
	if from == nil {
		return nil, refused("its issuer is not one of the configured")
	}
	if err := c.check(j.cfg.Audiences, j.cfg.Now()); err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(token, j.algorithms)
	if err != nil {
		return nil, refused("malformed")
	}
	return c, from.verify(ctx, signed, h)
}

// objectIn reads a part of a JWT: base64url without padding (RFC 7515, section
// 2) of a JSON object without duplicate names (RFC 7519, section 4).
func objectIn(part string) (map[string]raw, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, refused("a part is not base64url")
	}
	return object(data)
}
