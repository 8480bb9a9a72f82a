package keys

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// A token is <prefix><43 base62 characters><6 base62 characters of CRC-32>.
// The body carries about 256 bits; the checksum (IEEE, over prefix and body,
// left-padded) lets a mistyped token be refused without asking the store.
const (
	DefaultTokenPrefix = "bwk_live_"

	base62          = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	tokenBody       = 43
	tokenChecksum   = 6
	tokenShown      = 4 // characters of the body that are shown with the prefix
	maxTokenPrefix  = 32
	maxTokenLength  = 256 // of a presented one, whose prefix may be any
	largestUnbiased = 256 - 256%len(base62)
)

// NewToken draws a token from rand. The prefix is 1 to 32 of a-z, A-Z, 0-9, _ and -.
func NewToken(rand io.Reader, prefix string) (Secret, error) {
	if err := checkTokenPrefix(prefix); err != nil {
		return "", err
	}
	body, err := randomBase62(rand, tokenBody)
	if err != nil {
		return "", fmt.Errorf("drawing a token: %w", err)
	}
	return Secret(prefix + body + TokenChecksum(prefix+body)), nil
}

// TokenChecksum is the last part of a token that starts with s.
func TokenChecksum(s string) string {
	out := tokenChecksumOf(s)
	return string(out[:])
}

// tokenChecksumOf allocates nothing: every request has it computed.
func tokenChecksumOf(s string) (out [tokenChecksum]byte) {
	sum := ^uint32(0)
	for i := range len(s) {
		sum = crc32.IEEETable[byte(sum)^s[i]] ^ sum>>8
	}
	sum = ^sum
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = base62[sum%uint32(len(base62))]
		sum /= uint32(len(base62))
	}
	return out
}

// ShownPrefix is what may be shown of a token: its prefix and 4 characters. It
// answers false for a text that is not a token: wrong length, a character that
// no token has, a checksum that does not fit.
func ShownPrefix(token Secret) (string, bool) {
	s := string(token)
	at := len(s) - tokenBody - tokenChecksum
	if at < 0 || len(s) > maxTokenLength || strings.ContainsFunc(s[:at], notGraphic) {
		return "", false
	}
	for i := at; i < len(s); i++ {
		if !isAlphanumeric(s[i]) {
			return "", false
		}
	}
	if sum := tokenChecksumOf(s[:len(s)-tokenChecksum]); string(sum[:]) != s[len(s)-tokenChecksum:] {
		return "", false
	}
	return s[:at+tokenShown], true
}

// foreignToken tells whether a text can be another system's token: 1 to 256
// visible ASCII characters.
func foreignToken(token Secret) bool {
	return token != "" && len(token) <= maxTokenLength && !strings.ContainsFunc(string(token), notGraphic)
}

// randomBase62 rejects the bytes that would favour some characters.
func randomBase62(rand io.Reader, n int) (string, error) {
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/4)
	for len(out) < n {
		if _, err := io.ReadFull(rand, buf); err != nil {
			return "", err
		}
		for _, b := range buf {
			if int(b) < largestUnbiased && len(out) < n {
				out = append(out, base62[int(b)%len(base62)])
			}
		}
	}
	return string(out), nil
}

func checkTokenPrefix(prefix string) error {
	if prefix == "" || len(prefix) > maxTokenPrefix {
		return fmt.Errorf("token prefix: use 1 to %d characters", maxTokenPrefix)
	}
	for i := range len(prefix) {
		if c := prefix[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return fmt.Errorf("token prefix: use letters, digits, _ and - only")
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func notGraphic(r rune) bool { return r <= ' ' || r > '~' }

// digest is what a token is known by outside of the root secret; the same that
// other systems store of theirs.
func digest(token Secret) [32]byte {
	if len(token) > maxTokenLength {
		return sha256.Sum256([]byte(token))
	}
	var text [maxTokenLength]byte // []byte(token) would be on the heap
	return sha256.Sum256(text[:copy(text[:], token)])
}
