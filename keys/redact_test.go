package keys_test

import (
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestWithoutToken(t *testing.T) {
	body := strings.Repeat("0", 43)
	token := "bwk_live_" + body + "07GRLR"
	bare := "abc" + body
	bare += keys.TokenChecksum(bare)
	for text, want := range map[string]string{
		"":                                  "",
		"plain":                             "plain",
		token:                               "bwk_live_0000…",
		`{"a":"` + token + `","b":1}`:       `{"a":"bwk_live_0000…","b":1}`,
		token + " and " + token:             "bwk_live_0000… and bwk_live_0000…",
		bare:                                "abc0000…",
		"bwk_live_" + body + "07GRLS":       "bwk_live_0000…", // mistyped
		"own-" + body + "07GRLR.":           "own-0000….",
		body + "07GRLR":                     body + "07GRLR", // no prefix, no token
		"x_" + body + "07GRL":               "x_" + body + "07GRL",
		"x_" + body + "07GRLRR":             "x_" + body + "07GRLRR",
		"sha256-" + strings.Repeat("a", 64): "sha256-" + strings.Repeat("a", 64),
	} {
		if got := keys.WithoutToken(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestWithoutTokenUnderEveryPrefix(t *testing.T) {
	body := strings.Repeat("Zq7", 15)[:43]
	for n := 1; n <= 33; n++ {
		prefix := strings.Repeat("aB-_9", 7)[:n-1] + "x"
		token := prefix + body + keys.TokenChecksum(prefix+body)
		want := prefix + "Zq7Z…"
		if n > 32 { // which no token has
			want = token
		}
		for _, around := range []string{"", ".", `"`} {
			if got := keys.WithoutToken(around + token + around); got != around+want+around {
				t.Errorf("a prefix of %d between %q: %q, want %q", n, around, got, around+want+around)
			}
		}
	}
}

// What a stranger sends may be as long as a body: all of it can look like a token.
func TestWithoutTokenOfALongText(t *testing.T) {
	text := strings.Repeat("0", 1<<20) // a look from each place to the end would take hours
	if got := keys.WithoutToken(text); got != text {
		t.Errorf("zeros become %.80q", got)
	}
}
