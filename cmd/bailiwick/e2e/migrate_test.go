package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"github.com/bailiwick-mcp/bailiwick/db"
)

// ask runs the binary to its end and answers what it says.
func ask(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, bailiwickBin, args...)
	cmd.Env = cleanEnv()
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// onPostgres runs a statement past the binary.
func onPostgres(t testing.TB, database, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// TestTenStartAtOnce starts ten servers, and three migrations beside, on one
// empty Postgres: all serve, and one shows the first key.
func TestTenStartAtOnce(t *testing.T) {
	url, data := postgresURL(t), t.TempDir()
	servers := make([]*server, 10)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if _, stderr, code := ask(t, "migrate", "--database-url", url); code != 0 {
				t.Errorf("migration %d ended with %d: %s", i, code, stderr)
			}
		})
	}
	for i := range servers {
		// They share the folder, and with it the root secret.
		all.Go(func() { servers[i] = serveOn(t, data, nil, "--database-url", url, "--migrate") })
	}
	all.Wait()
	var first []string
	for _, s := range servers {
		if s == nil {
			t.Fatal("a server did not start")
		}
		if s.firstKey != "" {
			first = append(first, s.firstKey)
		}
	}
	if len(first) != 1 {
		t.Fatalf("%d servers show a first key", len(first))
	}
	for _, s := range servers {
		(rest{url: s.url, token: first[0]}).must(t, "GET", "/api/projects", nil)
	}
	schema, err := db.SchemaOf(t.Context(), db.Config{URL: url})
	if err != nil || schema.Check() != nil || schema.Latest == 0 {
		t.Errorf("the schema is %+v, %v", schema, err)
	}
}

// TestTenOpenOneFile runs ten commands at once on a folder without a file, on
// one whose file has an early schema, and on one that was served.
func TestTenOpenOneFile(t *testing.T) {
	s := serve(t)
	s.stop(t)
	for name, data := range map[string]string{"new": t.TempDir(), "old": oldFolder(t), "served": s.data} {
		t.Run(name, func(t *testing.T) {
			var all sync.WaitGroup
			for i := range 10 {
				all.Go(func() {
					args := []string{"migrate", "--data", data}
					if name == "served" && i%2 == 0 {
						args = []string{"keys", "create", "--name", fmt.Sprint("key ", i), "--data", data}
					}
					if _, stderr, code := ask(t, args...); code != 0 {
						t.Errorf("%v ended with %d: %s", args, code, stderr)
					}
				})
			}
			all.Wait()
			schema, err := db.SchemaOf(t.Context(), db.Config{Path: filepath.Join(data, "bailiwick.db")})
			if err != nil || schema.Check() != nil || schema.Latest == 0 {
				t.Errorf("the schema is %+v, %v", schema, err)
			}
		})
	}
}

// oldFolder has a file with the second schema.
func oldFolder(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	pool, err := sql.Open("sqlite", filepath.Join(data, "bailiwick.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Close() }()
	migrations := os.DirFS(filepath.Join(repository, "db", "migrations"))
	provider, err := goose.NewProvider(goose.DialectSQLite3, pool, migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestKilledInTheMiddle kills a program that migrates. What it began is undone,
// and the next one waits for its lease, half a minute, and does the whole.
func TestKilledInTheMiddle(t *testing.T) {
	url := postgresURL(t)
	hold, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Close(context.Background()) }()
	// A migration that makes a table of the same name waits for this one's end.
	for _, statement := range []string{"BEGIN", "CREATE TABLE audit (id text)"} {
		if _, err := hold.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bailiwickBin, "migrate", "--database-url", url)
	cmd.Env = cleanEnv()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	look, err := pgx.Connect(t.Context(), url) // within hold's transaction, what is active stays as first seen
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.Close(context.Background()) }()
	eventually(t, "the migration is in its middle", func() string {
		var waiting int
		const query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
		if err := look.QueryRow(t.Context(), query).Scan(&waiting); err != nil || waiting == 0 {
			return fmt.Sprint(waiting, " wait, ", err)
		}
		return ""
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := hold.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if schema, err := db.SchemaOf(t.Context(), db.Config{URL: url}); err != nil || schema.Current != 0 {
		t.Errorf("the killed program left %+v, %v", schema, err)
	}
	begun := time.Now()
	stdout, stderr, code := ask(t, "migrate", "--database-url", url)
	if code != 0 || !strings.Contains(stdout, "was 0") {
		t.Errorf("the next program ended with %d: %s%s", code, stdout, stderr)
	}
	t.Logf("the next program migrated within %s", time.Since(begun).Round(time.Millisecond))
	serve(t, "--database-url", url)
}

// TestOlderProgram: every command refuses a schema that a newer program made,
// in one line that has both versions, and says what to do.
func TestOlderProgram(t *testing.T) {
	file := serve(t)
	file.stop(t)
	conn, err := sql.Open("sqlite", filepath.Join(file.data, "bailiwick.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	url := postgresURL(t)
	server := serve(t, "--database-url", url, "--migrate")
	server.stop(t)
	onPostgres(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	for name, store := range map[string][]string{"sqlite": {"--data", file.data}, "postgres": {"--data", server.data, "--database-url", url}} {
		for _, command := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"serve", "--addr", "127.0.0.1:0", "--migrate"}, {"stdio", "--key-file", keyFile(t)}, {"keys", "list"}, {"migrate"}, {"migrate", "--check"}} {
			t.Run(name+" "+command[0], func(t *testing.T) {
				_, stderr, code := ask(t, append(command, store...)...)
				refused(t, stderr, code, "version 999", "newer")
			})
		}
	}
}

// TestNewerProgram: without being told to, no command migrates a Postgres.
func TestNewerProgram(t *testing.T) {
	url := postgresURL(t)
	s := serve(t, "--database-url", url, "--migrate")
	s.stop(t)
	onPostgres(t, url, "DELETE FROM goose_db_version WHERE version_id > 1")
	for _, command := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"stdio", "--key-file", keyFile(t)}, {"keys", "list"}, {"migrate", "--check"}} {
		t.Run(command[0], func(t *testing.T) {
			_, stderr, code := ask(t, append(command, "--data", s.data, "--database-url", url)...)
			refused(t, stderr, code, "it has version 1", "bailiwick migrate")
		})
	}
}

// refused looks for one line of error and one of hint, and the words in them.
func refused(t *testing.T, stderr string, code int, words ...string) {
	t.Helper()
	if code != 1 {
		t.Errorf("ended with %d", code)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "error: ") || !strings.HasPrefix(lines[1], "hint: ") {
		t.Errorf("not an error and a hint: %s", stderr)
	}
	for _, word := range words {
		if !strings.Contains(stderr, word) {
			t.Errorf("no %q in: %s", word, stderr)
		}
	}
}

func keyFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("bwk_live_some-key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
