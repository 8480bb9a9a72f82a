package db_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	record = flag.Bool("record", false, "write the rows that this program leaves, as those of the latest schema")
)

// upgradeRoot is the root secret that every recorded store was made with, and
// upgradeTime the clock.
const upgradeRoot = "root-secret-of-the-recorded-stores-0123456789"

var upgradeTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// recorded are the rows of a store as the program of one schema version left
// them, and what it must read as ever after.
type recorded struct {
	version    int64
	rows, read string // files
}

// recordedStores are those of every version that a migration file makes: one
// without its recorded rows fails.
func recordedStores(t *testing.T) []recorded {
	t.Helper()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	var all []recorded
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("testdata/upgrade/%05d", version)
		all = append(all, recorded{version, name + ".sql", name + ".json"})
	}
	return all
}

// TestUpgrade: the rows that the program of each version left are migrated to
// the latest schema, and read as the same; what they let in is let in, and what
// they keep out kept out; and they can be edited.
func TestUpgrade(t *testing.T) {
	stores := recordedStores(t)
	if *record {
		recordStore(t, stores[len(stores)-1])
	}
	for _, r := range stores {
		t.Run(fmt.Sprint("from ", r.version), func(t *testing.T) {
			rows, err := os.ReadFile(r.rows)
			if err != nil {
				t.Fatalf("a migration without rows from before it (go test ./db -run TestUpgrade -record writes the latest): %v", err)
			}
			empty(t, func(t *testing.T, cfg db.Config) {
				migrateTo(t, cfg, r.version)
				insertRecorded(t, cfg, string(rows))
				if before, err := db.Migrate(t.Context(), cfg); err != nil || before.Current != r.version {
					t.Fatalf("migrated from %d, %v", before.Current, err)
				}
				d := dbtest.Open(t, cfg)
				compareRead(t, readAll(t, d), r.read, cfg.URL == "")
				useUpgraded(t, d, string(rows))
			})
		})
	}
}

// migrateTo makes the schema of a version, as its program did.
func migrateTo(t *testing.T, cfg db.Config, version int64) {
	t.Helper()
	driver, source, dialect := "sqlite", cfg.Path, goose.DialectSQLite3
	if cfg.URL != "" {
		driver, source, dialect = "pgx", cfg.URL, goose.DialectPostgres
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	provider, err := goose.NewProvider(dialect, pool, os.DirFS("migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	if got := schemaOf(t, cfg); got.Current != version {
		t.Fatalf("made %+v, want version %d", got, version)
	}
}

// bytesLiteral is a bytea as Postgres writes it, for which SQLite has x'00'.
var bytesLiteral = regexp.MustCompile(`'\\x([0-9a-f]*)'`)

func insertRecorded(t *testing.T, cfg db.Config, rows string) {
	t.Helper()
	if cfg.URL == "" {
		rows = bytesLiteral.ReplaceAllString(rows, "x'$1'")
	}
	execute(t, cfg, rows)
}

// compareRead holds what was read to what was read when it was recorded. A
// field of later may stand beside; none may be lost.
func compareRead(t *testing.T, got any, file string, write bool) {
	t.Helper()
	if *update && write {
		text, err := json.MarshalIndent(got, "", " ")
		if err := errors.Join(err, os.WriteFile(file, append(text, '\n'), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("nothing to compare with (-update writes it): %v", err)
	}
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if n := within(t, "", want, got); n < 300 {
		t.Errorf("only %d values compared", n)
	}
}

// within reports what of want is not in got, and answers how much was compared.
func within(t *testing.T, at string, want, got any) (compared int) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s: got %v, want an object", at, got)
		}
		for name, value := range want {
			if found, there := g[name]; there {
				compared += within(t, at+"."+name, value, found)
			} else {
				t.Errorf("%s.%s is lost", at, name)
			}
		}
		return compared
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			t.Errorf("%s: got %v, want %v", at, got, want)
			return 0
		}
		for i := range want {
			compared += within(t, fmt.Sprintf("%s[%d]", at, i), want[i], g[i])
		}
		return compared
	}
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s: got %v, want %v", at, got, want)
	}
	return 1
}

// serviceOn is a Service on a recorded store, from a minute after its recording on.
func serviceOn(t *testing.T, store keys.Store) *keys.Service {
	t.Helper()
	begun := time.Now()
	svc, err := keys.New(t.Context(), keys.Config{Store: store, Root: keys.RootSecret{Value: upgradeRoot},
		Now: func() time.Time { return upgradeTime.Add(time.Minute + time.Since(begun)) }})
	if err != nil {
		t.Fatal(err)
	}
	return svc
}
