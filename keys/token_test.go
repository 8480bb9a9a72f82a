package keys_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestTokenVectors(t *testing.T) {
	data, err := os.ReadFile("../testdata/tokens/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Tokens    []struct{ Prefix, Body, Checksum, SHA256 string }
		Checksums []struct{ Of, Checksum string }
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Tokens) < 2 || len(vectors.Checksums) < 1 {
		t.Fatalf("too few vectors: %+v", vectors)
	}
	for _, v := range vectors.Tokens {
		start := v.Prefix + v.Body
		if got := keys.TokenChecksum(start); got != v.Checksum {
			t.Errorf("checksum of %s = %s, want %s", start, got, v.Checksum)
		}
		sum := sha256.Sum256([]byte(start + v.Checksum))
		if got := hex.EncodeToString(sum[:]); got != v.SHA256 {
			t.Errorf("SHA-256 of %s = %s, want %s", start+v.Checksum, got, v.SHA256)
		}
		if shown, ok := keys.ShownPrefix(keys.Secret(start + v.Checksum)); !ok || shown != v.Prefix+v.Body[:4] {
			t.Errorf("ShownPrefix = %q, %v", shown, ok)
		}
	}
	for _, v := range vectors.Checksums {
		if got := keys.TokenChecksum(v.Of); got != v.Checksum {
			t.Errorf("checksum of %s = %s, want %s", v.Of, got, v.Checksum)
		}
	}
}

func TestShownPrefixRefusesWhatIsNoToken(t *testing.T) {
	good := string(newToken(t, "bwk_live_"))
	last := byte('0')
	if good[len(good)-1] == last {
		last = '1'
	}
	for name, text := range map[string]string{
		"empty":               "",
		"too short":           good[len(good)-48:],
		"a changed character": good[:len(good)-1] + string(last),
		"a changed prefix":    "c" + good[1:],
		"a space before":      " " + good,
		"a line after":        good + "\n",
		"a dash in the body":  good[:20] + "-" + good[21:],
		"very long":           strings.Repeat("a", 1<<20),
	} {
		if shown, ok := keys.ShownPrefix(keys.Secret(text)); ok {
			t.Errorf("%s: accepted as %q", name, shown)
		}
	}
	for _, prefix := range []string{"capy_live_", "x"} { // retired prefixes go on working
		if _, ok := keys.ShownPrefix(newToken(t, prefix)); !ok {
			t.Errorf("prefix %q is refused", prefix)
		}
	}
}

func TestNewToken(t *testing.T) {
	for _, prefix := range []string{"", "a b", "ü_", "a.b", strings.Repeat("a", 33)} {
		if _, err := keys.NewToken(rand.Reader, prefix); err == nil {
			t.Errorf("prefix %q is accepted", prefix)
		}
	}
	if _, err := keys.NewToken(strings.NewReader("too little"), "bwk_live_"); err == nil {
		t.Error("a source that runs dry is accepted")
	}
	// Bytes from 248 on would favour some characters; they are passed over.
	source := bytes.Repeat([]byte{255, 61, 248, 0}, 100)
	token, err := keys.NewToken(bytes.NewReader(source), "bwk_live_")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("z0", 21) + "z"; token.Reveal()[9:9+43] != want {
		t.Errorf("body = %s, want %s", token.Reveal()[9:9+43], want)
	}
}

func FuzzShownPrefix(f *testing.F) {
	zeros := "bwk_live_" + strings.Repeat("0", 43)
	f.Add(zeros + keys.TokenChecksum(zeros))
	f.Add("")
	f.Add(strings.Repeat("z", 49))
	f.Fuzz(func(t *testing.T, text string) {
		shown, ok := keys.ShownPrefix(keys.Secret(text))
		if !ok {
			return
		}
		start := text[:len(text)-6]
		if keys.TokenChecksum(start) != text[len(text)-6:] {
			t.Errorf("%q has another checksum", text)
		}
		if !strings.HasPrefix(text, shown) || len(shown) != len(text)-45 {
			t.Errorf("%q shows %q", text, shown)
		}
	})
}

func newToken(t *testing.T, prefix string) keys.Secret {
	t.Helper()
	token, err := keys.NewToken(rand.Reader, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
