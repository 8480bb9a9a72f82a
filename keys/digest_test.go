package keys_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestParseDigest(t *testing.T) {
	sum := sha256.Sum256([]byte("token 43")) // its base64 has both + and /
	std, url := base64.StdEncoding.EncodeToString(sum[:]), base64.URLEncoding.EncodeToString(sum[:])
	if !strings.ContainsAny(std, "+/") {
		t.Fatal("the sample shows no difference of the alphabets")
	}
	for _, good := range []string{
		hex.EncodeToString(sum[:]), strings.ToUpper(hex.EncodeToString(sum[:])), std, url, std[:43], url[:43],
	} {
		if got, err := keys.ParseDigest(good); err != nil || got != sum {
			t.Errorf("%q: %x, %v", good, got, err)
		}
	}
	zero := strings.Repeat("A", 43)
	for _, bad := range []string{
		"", "x", hex.EncodeToString(sum[:])[1:], hex.EncodeToString(sum[:]) + "0", strings.Repeat("g", 64), std + "=", std[:42], std[:42] + "==",
		zero[:42] + "B", zero[:42] + "+-", "+-" + zero[:41], std[:43] + "\n", "\n" + std[:43], std[:40] + "\r\n" + std[40:42], "=" + zero, strings.Repeat("ü", 22),
	} {
		if got, err := keys.ParseDigest(bad); !slices.Equal(fieldsOf(err), []string{"hash"}) || got != [32]byte{} {
			t.Errorf("%q: %x, %v", bad, got, err)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	sum := sha256.Sum256([]byte("token"))
	for _, seed := range []string{
		hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]), "", "\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := keys.ParseDigest(text)
		if err != nil {
			if got != [32]byte{} {
				t.Errorf("%q: an error and %x", text, got)
			}
			return
		}
		for _, form := range []string{
			hex.EncodeToString(got[:]), base64.StdEncoding.EncodeToString(got[:]), base64.URLEncoding.EncodeToString(got[:]),
			base64.RawStdEncoding.EncodeToString(got[:]), base64.RawURLEncoding.EncodeToString(got[:]),
		} {
			if form == text || len(text) == 64 && form == strings.ToLower(text) {
				return
			}
		}
		t.Errorf("%q is none of the forms of %x", text, got)
	})
}
