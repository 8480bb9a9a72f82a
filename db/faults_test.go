package db_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// addTenant is an edit that writes one tenant, its audit entry and a counter.
func addTenant(ctx context.Context, w keys.Writer) error {
	value, err := w.Meta(ctx, "counter")
	if err != nil && !errors.Is(err, keys.ErrNotFound) {
		return err
	}
	n, _ := strconv.Atoi(value)
	t := keys.Tenant{ID: newID(), Slug: newID()}
	return errors.Join(w.PutMeta(ctx, "counter", strconv.Itoa(n+1)), w.InsertTenant(ctx, &t),
		w.Record(ctx, keys.AuditEntry{ID: newID(), TenantID: t.ID, Kind: "change"}))
}

// consistent checks that epoch, counter, tenants and changes tell of n edits.
func consistent(t *testing.T, d *db.DB, n int64) {
	t.Helper()
	ctx := t.Context()
	epoch, err1 := d.Epoch(ctx)
	changes, err2 := d.Changes(ctx, 0, 1_000_000)
	err3 := d.Read(ctx, func(r keys.Reader) error {
		tenants, err1 := r.Tenants(ctx)
		counter, err2 := r.Meta(ctx, "counter")
		got := fmt.Sprint(epoch, len(changes), len(tenants), " ", counter)
		if want := fmt.Sprint(n, n, n, " ", n); got != want {
			t.Errorf("epoch, changes, tenants and counter: got %s, want %s", got, want)
		}
		return errors.Join(err1, err2)
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
}

func TestTwoProgramsEditOneDatabase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		stores := []*db.DB{dbtest.Open(t, cfg), dbtest.Open(t, cfg), dbtest.Open(t, cfg)}
		const each = 30
		var all sync.WaitGroup
		var runs atomic.Int64 // each edit waits its turn: none is in vain
		for _, d := range stores {
			all.Go(func() {
				for range each {
					_, err := d.Edit(t.Context(), func(w keys.Writer) error {
						runs.Add(1)
						return addTenant(t.Context(), w)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if want := int64(len(stores) * each); runs.Load() != want {
			t.Errorf("%d runs for %d edits", runs.Load(), want)
		}
		for _, d := range stores {
			consistent(t, d, int64(len(stores)*each))
		}
	})
}

// TestCrash kills a program that edits and checks that what it had been told to
// be done is there, and nothing is half done. It is its own program.
func TestCrash(t *testing.T) {
	if path := os.Getenv("DB_TEST_CRASH"); path != "" {
		editForever(path)
	}
	path := dbtest.SQLite(t).Path
	for round := range 3 {
		acknowledged := editUntilKilled(t, path, 20)
		d, err := db.Open(t.Context(), db.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		epoch, err := d.Epoch(t.Context())
		if err != nil || epoch < acknowledged || epoch > acknowledged+1 {
			t.Errorf("round %d: epoch %d, %v, after %d acknowledged", round, epoch, err, acknowledged)
		}
		consistent(t, d, epoch)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// editUntilKilled answers the last epoch that the program wrote down, of at
// least the given number of edits.
func editUntilKilled(t *testing.T, path string, edits int) (acknowledged int64) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "DB_TEST_CRASH="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		epoch, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the program says %q", lines.Text())
		}
		acknowledged = epoch
		if n == edits {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if acknowledged < int64(edits) {
		t.Fatalf("only %d edits", acknowledged)
	}
	return acknowledged
}

func editForever(path string) {
	d, err := db.Open(context.Background(), db.Config{Path: path})
	for err == nil {
		var epoch int64
		epoch, err = d.Edit(context.Background(), func(w keys.Writer) error { return addTenant(context.Background(), w) })
		fmt.Println(epoch)
	}
	fmt.Println(err)
	os.Exit(1)
}

// connect is a connection past the store.
func connect(t *testing.T, cfg db.Config) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestPostgresConnectionBreaksInAnEdit(t *testing.T) {
	cfg := dbtest.Postgres(t)
	d, other := dbtest.Open(t, cfg), connect(t, cfg)
	edit := func(ctx context.Context, w keys.Writer) error { return addTenant(ctx, w) }
	if _, err := d.Edit(t.Context(), func(w keys.Writer) error { return edit(t.Context(), w) }); err != nil {
		t.Fatal(err)
	}
	_, err := d.Edit(t.Context(), func(w keys.Writer) error {
		if err := edit(t.Context(), w); err != nil {
			return err
		}
		_, err := other.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`)
		return err
	})
	if !errors.Is(err, keys.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want ErrUnavailable in one line", err)
	}
	consistent(t, d, 1)
	if _, err := d.Edit(t.Context(), func(w keys.Writer) error { return edit(t.Context(), w) }); err != nil {
		t.Errorf("the next edit: %v", err)
	}
	consistent(t, d, 2)
}

// TestPostgresDeadlock lets an edit run into a deadlock that it is the one to
// notice, so that it is undone and run again.
func TestPostgresDeadlock(t *testing.T) {
	cfg := dbtest.Postgres(t)
	d, other := dbtest.Open(t, cfg), connect(t, cfg)
	ctx := t.Context()
	tenant := keys.Tenant{ID: newID(), Slug: "t"}
	record := func(w keys.Writer) error {
		return w.Record(ctx, keys.AuditEntry{ID: newID(), TenantID: tenant.ID, Kind: "change"})
	}
	if _, err := d.Edit(ctx, func(w keys.Writer) error { return errors.Join(w.InsertTenant(ctx, &tenant), record(w)) }); err != nil {
		t.Fatal(err)
	}
	tx, err := other.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"SET LOCAL deadlock_timeout = '1h'", "SELECT id FROM tenants FOR UPDATE"} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	blocked := make(chan error, 1)
	runs := 0
	epoch, err := d.Edit(ctx, func(w keys.Writer) error {
		if runs++; runs == 1 {
			go func() {
				_, err := tx.Exec(ctx, "SELECT value FROM epoch FOR UPDATE")
				blocked <- errors.Join(err, tx.Commit(ctx))
			}()
		}
		tenant.Name = "new"
		return errors.Join(w.UpdateTenant(ctx, &tenant), record(w))
	})
	if err != nil || epoch != 2 || runs != 2 {
		t.Errorf("got epoch %d, %v after %d runs, want 2 after 2", epoch, err, runs)
	}
	if err := <-blocked; err != nil {
		t.Error(err)
	}
}

func TestPostgresNotifies(t *testing.T) {
	cfg := dbtest.Postgres(t)
	d, listener := dbtest.Open(t, cfg), connect(t, cfg)
	if _, err := listener.Exec(t.Context(), "LISTEN "+db.Channel); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	for _, end := range []error{nil, failed, nil} {
		_, err := d.Edit(t.Context(), func(w keys.Writer) error { return errors.Join(addTenant(t.Context(), w), end) })
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"1", "2"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got, err := listener.WaitForNotification(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got.Payload != want {
			t.Errorf("got %s, want %s", got.Payload, want)
		}
	}
}

// TestStoredByANewerProgram reads values that this program does not know.
func TestStoredByANewerProgram(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		ctx, d := t.Context(), dbtest.Open(t, cfg)
		tenant, project, instance, key := newID(), newID(), newID(), newID()
		_, err := d.Edit(ctx, func(w keys.Writer) error {
			return errors.Join(w.InsertTenant(ctx, &keys.Tenant{ID: tenant, Slug: "t"}),
				w.InsertProject(ctx, &keys.Project{ID: project, TenantID: tenant}),
				w.InsertInstance(ctx, &keys.Instance{ID: instance, TenantID: tenant, ProjectID: project}),
				w.InsertPreset(ctx, &keys.Preset{TenantID: tenant, Name: "p"}),
				w.InsertKey(ctx, &keys.Key{ID: key, TenantID: tenant, Policy: policy.Default()}),
				w.Record(ctx, keys.AuditEntry{ID: newID(), TenantID: tenant, Kind: "change"}))
		})
		if err != nil {
			t.Fatal(err)
		}
		execute(t, cfg, `UPDATE instances SET tools = '[{"match":"*","effect":"harmless","new":1}]'`)
		execute(t, cfg, `UPDATE presets SET max_effect = 'everything'`)
		execute(t, cfg, `UPDATE keys SET mcp_instance_ids = 'null'`)
		execute(t, cfg, `ALTER TABLE keys ADD COLUMN later text`)
		err = d.Read(ctx, func(r keys.Reader) error {
			i, err1 := r.Instance(ctx, tenant, instance)
			p, err2 := r.Preset(ctx, tenant, "p")
			k, err3 := r.Key(ctx, tenant, key)
			if err := errors.Join(err1, err2, err3); err != nil {
				return err
			}
			if effect := i.Tools[0].Effect; effect.Known() || effect <= policy.EffectDestructive {
				t.Errorf("an unknown effect reads as %d, not above all", effect)
			}
			if p.MaxEffect != 0 {
				t.Errorf("an unknown ceiling reads as %d", p.MaxEffect)
			}
			if l := k.Policy.InstanceIDs; l.IsUnlimited() || len(l.Values()) > 0 {
				t.Error("a JSON null in a list column does not limit to nothing")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.Edit(ctx, func(w keys.Writer) error {
			k, err := w.Key(ctx, tenant, key)
			return errors.Join(err, w.UpdateKey(ctx, &k),
				w.Record(ctx, keys.AuditEntry{ID: newID(), TenantID: tenant, Kind: "change"}))
		})
		if err != nil {
			t.Errorf("writing beside a column of later: %v", err)
		}
		execute(t, cfg, `UPDATE keys SET mcp_tool_allowlist = 'null'`)
		if err := d.Read(ctx, func(r keys.Reader) error { _, err := r.Key(ctx, tenant, key); return err }); err == nil {
			t.Error("a missing allowlist was read as an empty one")
		}
	})
}
