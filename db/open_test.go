package db_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// open tries to open a database and must fail.
func openFails(t *testing.T, cfg db.Config) error {
	t.Helper()
	d, err := db.Open(t.Context(), cfg)
	if err == nil {
		d.Close()
		t.Fatal("opened")
	}
	if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "hunter2") {
		t.Errorf("the error is not one line without the password: %q", text)
	}
	return err
}

func TestOpenUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	for name, url := range map[string]string{
		"nobody listens": "postgres://user:hunter2@" + address + "/bailiwick?sslmode=disable",
		"no such host":   "postgres://user:hunter2@nowhere.invalid:1/bailiwick",
		"no such socket": "postgres://user:hunter2@/bailiwick?host=/nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			if err := openFails(t, db.Config{URL: url}); !errors.Is(err, keys.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
	t.Run("the address is named", func(t *testing.T) {
		err := openFails(t, db.Config{URL: "postgres://user:hunter2@" + address + "/bailiwick?sslmode=disable"})
		if !strings.Contains(err.Error(), address) {
			t.Errorf("%q names no %s", err, address)
		}
	})
	t.Run("no such database", func(t *testing.T) {
		url := dbtest.EmptyPostgres(t).URL
		at := strings.Index(url, "bailiwick_test_")
		err := openFails(t, db.Config{URL: url[:at] + "gone_" + url[at:]})
		if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("got %v, want ErrUnavailable with the server's word", err)
		}
	})
}

func TestOpenRefusesConfig(t *testing.T) {
	for name, cfg := range map[string]db.Config{
		"nothing":        {},
		"another scheme": {URL: "mysql://user:hunter2@host/db"},
		"no URL":         {URL: "host=x password=hunter2"},
		"slash in the password": {
			URL: "postgres://user:hunter2/x@host/db",
		},
		"bad port": {URL: "postgres://user:hunter2@host:port/db"},
		"bad mode": {URL: "postgres://user:hunter2@host/db?sslmode=perhaps"},
	} {
		t.Run(name, func(t *testing.T) { openFails(t, cfg) })
	}
}

func TestOpenCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		if _, err := db.Open(ctx, cfg); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestSQLiteIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b % ? # c")
	path := filepath.Join(dir, "file.db")
	d := dbtest.Open(t, db.Config{Path: path})
	if _, err := d.Edit(t.Context(), func(w keys.Writer) error { return w.PutMeta(t.Context(), "a", "b") }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		filepath.Dir(dir): 0o700, dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestSQLiteTightensAnOpenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dbtest.Open(t, db.Config{Path: path})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestSQLiteOfSomethingElse(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a text": text, "a folder": dir, "below a file": filepath.Join(text, "file.db")} {
		t.Run(name, func(t *testing.T) {
			if err := openFails(t, db.Config{Path: path}); !strings.Contains(err.Error(), path) && name != "below a file" {
				t.Errorf("%q does not name the file", err)
			}
		})
	}
	if kept, err := os.ReadFile(text); err != nil || len(kept) != 12000 {
		t.Error("the file was changed")
	}
}

func TestSQLiteInMemoryIsPrivate(t *testing.T) {
	one, two := dbtest.Open(t, db.Config{Path: ":memory:"}), dbtest.Open(t, db.Config{Path: ":memory:"})
	if _, err := one.Edit(t.Context(), func(w keys.Writer) error { return w.PutMeta(t.Context(), "a", "b") }); err != nil {
		t.Fatal(err)
	}
	if epoch, err := two.Epoch(t.Context()); err != nil || epoch != 0 {
		t.Errorf("got %d, %v, want 0", epoch, err)
	}
}

func TestReopen(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		first, err := db.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Edit(t.Context(), func(w keys.Writer) error { return w.PutMeta(t.Context(), "a", "b") }); err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Epoch(t.Context()); err == nil {
			t.Error("a closed store answers")
		}
		second := dbtest.Open(t, cfg)
		if epoch, err := second.Epoch(t.Context()); err != nil || epoch != 1 {
			t.Errorf("got %d, %v, want 1", epoch, err)
		}
	})
}
