package keys_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

const (
	secretOne = "first-root-secret-0123456789-abcdefghij"
	secretTwo = "other-root-secret-0123456789-abcdefghij"
)

func TestParseRootSecret(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		version int
		old     int
		bad     string // part of the error
	}{
		"one":              {text: secretOne + "\n", version: 1},
		"two versions":     {text: "1:" + secretOne + "\n2:" + secretTwo, version: 2, old: 1},
		"empty":            {text: " \n", bad: "empty"},
		"short":            {text: "0123456789abcdef", bad: "at least 32"},
		"repeated":         {text: strings.Repeat("ab", 30), bad: "different characters"},
		"two without name": {text: secretOne + " " + secretTwo, bad: "twice"},
		"not ASCII":        {text: strings.Repeat("schlüssel", 5), bad: "printable ASCII"},
		"weak old one":     {text: "2:" + secretTwo + " 1:short", bad: "version 1"},
		"version 0":        {text: "0:" + secretOne, bad: "version"},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := keys.ParseRootSecret(c.text)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Fatalf("error %v, want one with %q", err, c.bad)
				}
				for _, w := range strings.Fields(c.text) {
					if strings.Contains(err.Error(), w) {
						t.Errorf("the error quotes the secret: %v", err)
					}
				}
				return
			}
			if err != nil || root.Version != c.version || len(root.Old) != c.old {
				t.Errorf("got version %d with %d old ones, %v", root.Version, len(root.Old), err)
			}
		})
	}
}

func TestRootSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if _, err := keys.ReadRootSecretFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("reading no file: %v", err)
	}
	// Several servers start at once: one writes, all end with the same secret.
	var wg sync.WaitGroup
	got := make([]keys.RootSecret, 8)
	for i := range got {
		wg.Go(func() {
			mine, err := keys.NewRootSecret(rand.Reader)
			if err == nil {
				err = keys.WriteRootSecretFile(path, mine)
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
			if got[i], err = keys.ReadRootSecretFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, root := range got {
		if root.Value.Reveal() != got[0].Value.Reveal() || root.Value == "" {
			t.Fatal("two servers read different secrets")
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFingerprint(t *testing.T) {
	store := keystest.NewMemory()
	open := func(text string) error {
		t.Helper()
		root, err := keys.ParseRootSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		svc, err := keys.New(t.Context(), keys.Config{Store: store, Root: root})
		if err == nil {
			_, err = svc.Bootstrap(t.Context())
		}
		return err
	}
	if _, err := keys.New(t.Context(), keys.Config{Store: store}); err == nil {
		t.Error("no secret is accepted")
	}
	for _, step := range []struct {
		name, text string
		wrong      bool
	}{
		{"an empty store takes it", secretOne, false},
		{"again", secretOne, false},
		{"another", secretTwo, true},
		{"a new version without the old", "2:" + secretTwo, true},
		{"a new version beside another old one", "2:" + secretTwo + " 1:" + secretTwo + "x", true},
		{"a new version beside the old", "2:" + secretTwo + " 1:" + secretOne, false},
		{"the old one alone, after that", secretOne, true},
	} {
		if err := open(step.text); errors.Is(err, keys.ErrWrongSecret) != step.wrong || (err != nil) != step.wrong {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

func TestOldVersionsStayReadable(t *testing.T) {
	h := newHouse(t)
	i := h.instance("a1", func(s *keys.InstanceSpec) { s.Headers = keys.Some(map[string]string{"X-Key": "hush"}) })
	root := keys.RootSecret{Version: 2, Value: secretTwo, Old: map[int]keys.Secret{1: rootSecret.Value}}
	svc, err := keys.New(t.Context(), keys.Config{Store: h.store, Root: root, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // from the store and from the cache
		if p, err := svc.Authenticate(t.Context(), h.token); err != nil || p.KeyID() != h.first.KeyID() {
			t.Errorf("a token of the old version: %v", err)
		}
	}
	if c, err := svc.Credentials(i); err != nil || c.Headers["X-Key"] != "hush" {
		t.Errorf("credentials of the old version: %v, %v", c, err)
	}
}

func TestCredentialsAreBoundToTheirRow(t *testing.T) {
	h := newHouse(t)
	i := h.instance("a1", func(s *keys.InstanceSpec) { s.Headers = keys.Some(map[string]string{"X-Key": "hush"}) })
	if strings.Contains(string(i.Sealed), "hush") {
		t.Fatal("not encrypted")
	}
	moved := i
	moved.ID = "another"
	if _, err := h.svc.Credentials(moved); err == nil {
		t.Error("opened in another row")
	}
	for n := range i.Sealed {
		broken := i
		broken.Sealed = append([]byte{}, i.Sealed...)
		broken.Sealed[n] ^= 1
		if _, err := h.svc.Credentials(broken); err == nil {
			t.Errorf("opened with byte %d changed", n)
		}
		broken.Sealed = i.Sealed[:n]
		if c, err := h.svc.Credentials(broken); err == nil && n > 0 {
			t.Errorf("opened %d bytes: %v", n, c)
		}
	}
	if got := string(h.svc.MACKey("sessions")); len(got) != 32 || got == string(h.svc.MACKey("cursors")) {
		t.Error("MAC keys of two purposes are alike")
	}
}
