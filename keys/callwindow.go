package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// CallWindow is one period of the clock in which the calls of a key that one of
// its limits is about are counted. Periods begin at whole multiples of their
// length since 1970, in UTC: minutes, hours and days of the clock.
type CallWindow struct {
	TenantID string
	KeyID    string // or the actor of a JWT's subject
	Rule     string // which limit: equal for equal tools and periods, whatever the number
	Begins   int64  // seconds since 1970
	Ends     int64
}

func windowOf(tenantID, keyID string, l policy.RateLimit, now time.Time) CallWindow {
	length := max(l.Per.Seconds(), 1)
	begins := now.Unix() - now.Unix()%length
	sum := sha256.Sum256([]byte(string(l.Per) + " " + l.Tool))
	return CallWindow{TenantID: tenantID, KeyID: keyID, Rule: hex.EncodeToString(sum[:16]), Begins: begins, Ends: begins + length}
}
