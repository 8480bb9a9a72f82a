package bearer

import (
	"bytes"
	"encoding/json"
	"math"
	"mime"
	"slices"
	"strings"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// leeway is how far ahead of this one an issuer's clock may be. There is none
// at the end of a token: it counts until exp, here as everywhere.
const leeway = time.Minute

type raw = josejson.RawMessage

// object reads a JSON object, its names case-sensitive and each there once.
func object(data []byte) (map[string]raw, error) {
	var out map[string]raw
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || !json.Valid(data) || josejson.Unmarshal(data, &out) != nil {
		return nil, refused("a part is not a JSON object")
	}
	return out, nil
}

// text is a member that must be a string; "" and false where it is none.
func text(o map[string]raw, name string) (string, bool) {
	var v *string
	if josejson.Unmarshal(o[name], &v) != nil || v == nil {
		return "", false
	}
	return *v, true
}

// header is what counts of a JOSE header. Keys and places of keys that a token
// brings along (jwk, jku, x5u, x5c) are nothing to go by and not read.
type header struct{ alg, kid string }

// tokenTypes are what typ may say, where it is there (RFC 7519, section 5.1;
// RFC 9068, section 2.1). Other kinds of JWT have other types (RFC 8725, 3.11).
var tokenTypes = []string{"jwt", "at+jwt"}

func readHeader(part string) (header, error) {
	o, err := objectIn(part)
	if err != nil {
		return header{}, err
	}
	var h header
	var ok bool
	if h.alg, ok = text(o, "alg"); !ok {
		return header{}, refused("it has no alg")
	}
	if o["crit"] != nil { // RFC 7515, 4.1.11: there is none that is understood here
		return header{}, refused("it has crit")
	}
	if h.kid, ok = text(o, "kid"); !ok && o["kid"] != nil {
		return header{}, refused("its kid is not a string")
	}
	if o["typ"] == nil {
		return h, nil
	}
	typ, ok := text(o, "typ")
	if kind, _, err := mime.ParseMediaType(typ); err == nil {
		typ = strings.TrimPrefix(kind, "application/")
	}
	if !ok || !slices.Contains(tokenTypes, typ) {
		return header{}, refused("its typ is that of another kind of JWT")
	}
	return h, nil
}

// claims are what counts of a JWT's payload.
type claims struct {
	issuer, subject string
	audience        []string
	expires         time.Time
	notBefore       time.Time // zero = not there
	issued          time.Time // zero = not there
	tenant          string    // "" = not there
	permissions     []string  // in the primary spelling
}

// readClaims reads a payload. A claim of the wrong type is never taken for one
// that is absent.
func readClaims(part, tenantClaim, permissionClaim string) (*claims, error) {
	o, err := objectIn(part)
	if err != nil {
		return nil, err
	}
	c, ok := &claims{}, true
	if c.issuer, ok = text(o, "iss"); !ok {
		return nil, refused("it has no iss")
	}
	if c.subject, ok = text(o, "sub"); !ok || c.subject == "" {
		return nil, refused("it has no sub")
	}
	if c.audience, ok = texts(o["aud"], false); !ok {
		return nil, refused("it has no aud")
	}
	if o["cnf"] != nil { // RFC 7800: it takes a proof beside it, which nothing here checks
		return nil, refused("it is bound to a key (cnf)")
	}
	for name, at := range map[string]*time.Time{"exp": &c.expires, "nbf": &c.notBefore, "iat": &c.issued} {
		if *at, ok = moment(o[name]); !ok {
			return nil, refused(name + " is not a time")
		}
	}
	if c.expires.IsZero() {
		return nil, refused("it has no exp")
	}
	if c.tenant, ok = text(o, tenantClaim); o[tenantClaim] != nil && (!ok || c.tenant == "") {
		return nil, refused("the claim of its tenant is not a name")
	}
	if o[permissionClaim] == nil {
		return c, nil
	}
	given, ok := texts(o[permissionClaim], true)
	if !ok {
		return nil, refused("the claim of its permissions is neither a string nor a list of strings")
	}
	for _, one := range given {
		if permission, ok := wire.Permission(one); ok && !slices.Contains(c.permissions, permission) {
			c.permissions = append(c.permissions, permission)
		}
	}
	return c, nil
}

// texts reads a string, split at spaces where it is a list by itself, or a list
// of strings.
func texts(data raw, split bool) ([]string, bool) {
	var one *string
	if josejson.Unmarshal(data, &one) == nil && one != nil {
		if split {
			return strings.Fields(*one), true
		}
		return []string{*one}, true
	}
	var list []*string
	if josejson.Unmarshal(data, &list) != nil || list == nil || slices.Contains(list, nil) {
		return nil, false
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = *s
	}
	return out, true
}

// moment reads a NumericDate (RFC 7519, section 2), rounded down to the second;
// zero where it is absent.
func moment(data raw) (time.Time, bool) {
	if data == nil {
		return time.Time{}, true
	}
	var seconds *float64
	const last = 253402300800 // the year 10000
	if josejson.Unmarshal(data, &seconds) != nil || seconds == nil || !(*seconds >= 1 && *seconds < last) {
		return time.Time{}, false
	}
	return time.Unix(int64(math.Floor(*seconds)), 0).UTC(), true
}

// check holds the claims to the audiences and to the clock.
func (c *claims) check(audiences []string, now time.Time) error {
	switch latest := now.Add(leeway); {
	case !slices.ContainsFunc(c.audience, func(a string) bool { return slices.Contains(audiences, a) }):
		return refused("its aud does not name this server")
	case !now.Before(c.expires):
		return refused("it has expired")
	case c.notBefore.After(latest):
		return refused("its nbf is in the future")
	case c.issued.After(latest):
		return refused("its iat is in the future")
	}
	return nil
}
