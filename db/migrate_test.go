package db_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// empty runs fn on databases without a schema.
func empty(t *testing.T, fn func(t *testing.T, cfg db.Config)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, dbtest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, dbtest.EmptyPostgres(t)) })
}

func schemaOf(t *testing.T, cfg db.Config) db.Schema {
	t.Helper()
	s, err := db.SchemaOf(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// execute runs a statement past the store.
func execute(t *testing.T, cfg db.Config, statement string) {
	t.Helper()
	if err := tryExecute(t, cfg, statement); err != nil {
		t.Fatal(err)
	}
}

func tryExecute(t *testing.T, cfg db.Config, statement string) error {
	t.Helper()
	driver, source := "sqlite", cfg.Path
	if cfg.URL != "" {
		driver, source = "pgx", cfg.URL
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	_, err = pool.Exec(statement)
	return err
}

func TestMigrate(t *testing.T) {
	empty(t, func(t *testing.T, cfg db.Config) {
		latest := schemaOf(t, cfg).Latest
		if got := schemaOf(t, cfg); got.Current != 0 || latest < 1 {
			t.Errorf("before: %+v", got)
		}
		for _, want := range []int64{0, latest, latest} {
			if before, err := db.Migrate(t.Context(), cfg); err != nil || before.Current != want {
				t.Errorf("got %+v, %v, want %d", before, err, want)
			}
		}
		if got := schemaOf(t, cfg); got.Current != latest {
			t.Errorf("after: %+v", got)
		}
		again := fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, %s)", latest, yes(cfg))
		if err := tryExecute(t, cfg, again); err == nil {
			t.Error("one migration can be done twice")
		}
		dbtest.Open(t, cfg)
	})
}

func TestMigrateTenAtOnce(t *testing.T) {
	empty(t, func(t *testing.T, cfg db.Config) {
		cfg.Migrate = true
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				d, err := db.Open(context.Background(), cfg)
				if err != nil {
					t.Error(err)
					return
				}
				if epoch, err := d.Epoch(context.Background()); err != nil || epoch != 0 {
					t.Errorf("got epoch %d, %v", epoch, err)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

// TestMigrateWithData: what a version of before has written is read as if this
// one had, with the closed default in the new places.
func TestMigrateWithData(t *testing.T) {
	empty(t, func(t *testing.T, cfg db.Config) {
		first, err := os.ReadFile("migrations/00001_init.sql")
		if err != nil {
			t.Fatal(err)
		}
		applied := "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, " + yes(cfg) + "), (1, " + yes(cfg) + ")"
		for _, statement := range []string{
			"CREATE TABLE goose_db_version (id " + autoID(cfg) + ", version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT CURRENT_TIMESTAMP)",
			string(first), applied,
			"INSERT INTO tenants (id, slug, name, mcp_enabled, created_at, updated_at, version) VALUES ('t1', 'old', 'Old', true, '2026-01-02 03:04:05+00:00', '2026-01-02 03:04:05+00:00', 7)",
			"INSERT INTO projects (id, tenant_id, slug, name, created_at, updated_at, version) VALUES ('p1', 't1', 'p', 'P', '2026-01-02 03:04:05+00:00', '2026-01-02 03:04:05+00:00', 7)",
			"INSERT INTO instances (id, tenant_id, project_id, slug, transport, command, args, url, enabled, write_enabled, trust_annotations, allow_private, tools, source, created_at, updated_at, version) " +
				"VALUES ('i1', 't1', 'p1', 'i', 'stdio', 'x', '[]', '', true, false, false, false, '[]', 'api', '2026-01-02 03:04:05+00:00', '2026-01-02 03:04:05+00:00', 7)",
			"INSERT INTO audit (id, tenant_id, at, kind, action, actor, key_id, key_version, subject, tool, decision, failed, ref, args_digest, outcome, latency_us, client, epoch) " +
				"VALUES ('a1', 't1', '2026-01-02 03:04:05+00:00', 'call', 'x', '', '', 0, '', '', '', '[]', '', '', '', 0, '', 7)",
			"INSERT INTO definitions (instance_id, kind, name, raw, digest, seen_at) VALUES ('i1', 'tool', 't', '{}', 'd1', '2026-01-02 03:04:05+00:00')",
		} {
			execute(t, cfg, statement)
		}
		before, err := db.Migrate(t.Context(), cfg)
		if err != nil || before.Current != 1 || before.Latest < 2 {
			t.Fatalf("%+v, %v", before, err)
		}
		d := dbtest.Open(t, cfg)
		err = d.Read(t.Context(), func(r keys.Reader) error {
			tenant, err := r.Tenant(t.Context(), "old")
			got, _ := json.Marshal(tenant.JWTPolicy)
			want, _ := json.Marshal(keys.DefaultJWTPolicy())
			if tenant.Name != "Old" || !tenant.MCPEnabled || tenant.Version != 7 || string(got) != string(want) {
				t.Errorf("got %+v with %s, want %s", tenant, got, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		// Audit entries of before are in no chain; what is written now is.
		if err := d.AppendAudit(t.Context(), []keys.AuditEntry{{ID: "a2", TenantID: "t1", Kind: "call", Writer: "w"}}); err != nil {
			t.Error(err)
		}
		verdicts, err := keys.VerifyAudit(t.Context(), d, nil, "t1")
		if err != nil || len(verdicts) != 2 || verdicts[0].Writer != "" || verdicts[0].Rows != 1 || verdicts[0].Problem != "" ||
			verdicts[1].Rows != 1 || verdicts[1].Problem != "" {
			t.Errorf("verdicts %+v, %v", verdicts, err)
		}
		// The tools of before are approved as they were.
		saved, err := d.SaveDefinitions(t.Context(), "t1", "i1", []keys.Definition{{Kind: keys.KindTool, Name: "t", Digest: "d2", Raw: []byte("{}")}})
		if err != nil || len(saved) != 1 || saved[0].Pinned != "d1" || !saved[0].Quarantined() || string(saved[0].Approved) != "{}" {
			t.Errorf("saved %+v, %v", saved, err)
		}
	})
}

func autoID(cfg db.Config) string {
	if cfg.URL == "" {
		return "INTEGER PRIMARY KEY AUTOINCREMENT"
	}
	return "integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY"
}

func TestOpenWithoutMigrations(t *testing.T) {
	cfg := dbtest.EmptyPostgres(t)
	if err := openFails(t, cfg); !errors.Is(err, db.ErrNotMigrated) {
		t.Errorf("got %v, want ErrNotMigrated", err)
	}
	if got := schemaOf(t, cfg); got.Current != 0 {
		t.Errorf("a refused start left %+v", got)
	}
	migrated := dbtest.Postgres(t)
	execute(t, migrated, "DELETE FROM goose_db_version WHERE version_id > 0")
	if err := openFails(t, migrated); !errors.Is(err, db.ErrNotMigrated) {
		t.Errorf("got %v, want ErrNotMigrated", err)
	}
}

func TestNewerSchema(t *testing.T) {
	empty(t, func(t *testing.T, cfg db.Config) {
		if _, err := db.Migrate(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		execute(t, cfg, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, "+yes(cfg)+")")
		for _, migrate := range []bool{false, true} {
			cfg.Migrate = migrate
			if err := openFails(t, cfg); !errors.Is(err, db.ErrNewerSchema) {
				t.Errorf("migrate %t: got %v, want ErrNewerSchema", migrate, err)
			}
		}
		if _, err := db.Migrate(t.Context(), cfg); !errors.Is(err, db.ErrNewerSchema) {
			t.Errorf("got %v, want ErrNewerSchema", err)
		}
	})
}

// yes is true, as goose's own table holds it.
func yes(cfg db.Config) string {
	if cfg.URL == "" {
		return "1"
	}
	return "true"
}
