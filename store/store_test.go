package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/store"
)

const text = "test-root-secret-0123456789-abcdefghij"

func TestOpen(t *testing.T) {
	secretOf := func(folder string) string { return filepath.Join(folder, store.SecretFile) }
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte(text), 0o644)) // a mounted secret may be open to others
	tests := []struct {
		name   string
		used   bool // somebody has opened the store before
		before func(folder string) error
		edit   func(*store.Config)
		want   func(error) bool
	}{
		{name: "new, and may be", edit: func(c *store.Config) { c.Fresh = true }, want: none},
		{name: "new, and may not be", want: is(store.ErrUnused)},
		{name: "new, with a secret", edit: func(c *store.Config) { c.Secret = text }, want: none},
		{name: "used", used: true, want: none},
		{name: "used, without its secret", used: true, before: func(f string) error { return os.Remove(secretOf(f)) },
			edit: func(c *store.Config) { c.Fresh = true }, want: is(store.ErrSecretMissing)},
		{name: "used, with another secret", used: true, edit: func(c *store.Config) { c.Secret = text }, want: is(keys.ErrWrongSecret)},
		{name: "used, with another secret in a file", used: true, edit: func(c *store.Config) { c.RootSecretFile = file }, want: is(keys.ErrWrongSecret)},
		{name: "two secrets", used: true, edit: func(c *store.Config) { c.Secret, c.RootSecretFile = text, file },
			want: func(err error) bool { return err != nil && !errors.Is(err, keys.ErrWrongSecret) }},
		{name: "open to others", used: true, before: func(f string) error { return os.Chmod(secretOf(f), 0o604) },
			want: func(err error) bool { _, ok := errors.AsType[*store.OpenSecretError](err); return ok }},
		{name: "open to a group", used: true, before: func(f string) error { return os.Chmod(secretOf(f), 0o640) }, want: none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "data")
			cfg := store.Config{Data: folder}
			if err := cfg.Exists(); !errors.Is(err, store.ErrNoStore) {
				t.Errorf("Exists before there is a store: %v", err)
			}
			must(t, cfg.MakeFolder())
			if tt.used {
				must(t, open(t, store.Config{Data: folder, Fresh: true}))
				must(t, cfg.Exists())
			}
			if tt.before != nil {
				must(t, tt.before(folder))
			}
			if tt.edit != nil {
				tt.edit(&cfg)
			}
			if err := open(t, cfg); !tt.want(err) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// TestMadeSecret: what Open makes is for its owner alone, and the store's from then on.
func TestMadeSecret(t *testing.T) {
	cfg := store.Config{Data: filepath.Join(t.TempDir(), "data"), Fresh: true}
	must(t, cfg.MakeFolder())
	if cfg.SecretGiven() {
		t.Error("a secret is there before it was made")
	}
	must(t, open(t, cfg))
	for path, most := range map[string]os.FileMode{cfg.Data: 0o700, filepath.Join(cfg.Data, store.SecretFile): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if mode := info.Mode().Perm(); mode&^most != 0 {
			t.Errorf("%s has mode %04o", path, mode)
		}
	}
	if !cfg.SecretGiven() {
		t.Error("the secret that was made is not given")
	}
	must(t, open(t, cfg))
}

// open opens the store and closes it again.
func open(t *testing.T, cfg store.Config) error {
	t.Helper()
	s, err := store.Open(t.Context(), cfg, keys.Config{})
	if err == nil {
		must(t, s.Close())
	}
	return err
}

func none(err error) bool { return err == nil }

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
