package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBusyFile: many write to one file, over REST, by the command line and over
// stdio, while somebody reads it for long and somebody makes backups. Nothing
// fails.
func TestBusyFile(t *testing.T) {
	t.Parallel()
	s := serve(t)
	file, err := sql.Open("sqlite", "file:"+s.data+"/bailiwick.db?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	id, token := s.rest().key(t, with(fullAccess(), object{"permissions": []string{"*"}}))
	beside := serveStdio(t, s.data, id, token)

	reading, err := file.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var was int
	if err := reading.QueryRow("SELECT count(*) FROM keys").Scan(&was); err != nil || was == 0 {
		t.Fatalf("%d keys, %v", was, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var made, called, backups atomic.Int64
	var all sync.WaitGroup
	until := func(do func(n int) string) {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if problem := do(n); problem != "" {
					t.Error(problem)
					return
				}
			}
		})
	}
	for w := range 8 {
		until(func(n int) string {
			status, body, err := s.rest().try(http.MethodPost, "/api/api-keys", object{"name": fmt.Sprintf("busy %d.%d", w, n)})
			made.Add(1)
			if err != nil || status != http.StatusCreated {
				return fmt.Sprintf("create: %d %v %s", status, err, body)
			}
			return ""
		})
	}
	until(func(n int) string {
		made.Add(1)
		if out, err := operator(s.data, "keys", "create", "--name", fmt.Sprint("busy cli ", n)); err != nil {
			return fmt.Sprint("keys create: ", err, out)
		}
		return ""
	})
	until(func(n int) string {
		made.Add(1)
		if ok, answer := beside.call("create_api_key", object{"name": fmt.Sprint("busy tool ", n), "reveal": true}, patience); !ok {
			return "create_api_key: " + answer
		}
		return ""
	})
	until(func(int) string {
		called.Add(1)
		if accepted, answered := s.whoami(token); !accepted {
			return fmt.Sprintf("a call failed, answered %v", answered)
		}
		return ""
	})
	folder := t.TempDir()
	until(func(n int) string {
		backups.Add(1)
		_, err := file.Exec("VACUUM INTO ?", filepath.Join(folder, fmt.Sprint(n)))
		return errorText(err)
	})
	all.Wait()
	var still int
	if err := reading.QueryRow("SELECT count(*) FROM keys").Scan(&still); err != nil || still != was {
		t.Errorf("the long reader sees %d keys, then %d: %v", was, still, err)
	}
	if err := reading.Rollback(); err != nil {
		t.Error(err)
	}
	t.Logf("%d keys made, %d calls, %d backups", made.Load(), called.Load(), backups.Load())
	var now int
	if err := file.QueryRow("SELECT count(*) FROM keys").Scan(&now); err != nil || now != was+int(made.Load()) || backups.Load() == 0 {
		t.Errorf("%d keys, were %d, made %d, backups %d, %v", now, was, made.Load(), backups.Load(), err)
	}
}

// TestStdioOnAnOldFile: two processes serve keys over stdio without a server, and
// both begin on a file that an older program has left.
func TestStdioOnAnOldFile(t *testing.T) {
	t.Parallel()
	s := serve(t)
	id, token := s.rest().key(t, fullAccess())
	otherID, otherToken := s.rest().key(t, fullAccess())
	s.stop(t)
	data := t.TempDir()
	secret, err := os.ReadFile(s.data + "/root.secret")
	if err == nil {
		err = os.WriteFile(data+"/root.secret", secret, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	makeOld(t, s.data+"/bailiwick.db", data+"/bailiwick.db")
	// Both at once: what starts is not waited for until both do.
	both := []*stdioKey{startStdioKey(t, data, id, token), startStdioKey(t, data, otherID, otherToken)}
	for _, k := range both {
		if k.ask("initialize", object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "x", "version": "1"}}, patience) == nil {
			t.Fatalf("no answer:\n%s", k.log)
		}
		if accepted, answer := k.call("whoami", object{}, patience); !accepted {
			t.Errorf("whoami: %s\n%s", answer, k.log)
		}
	}
	if out, err := operator(data, "keys", "revoke", otherID); err != nil {
		t.Errorf("revoke: %v %s", err, out)
	}
	if accepted, _ := both[1].call("whoami", object{}, patience); accepted {
		t.Error("accepted after the revoke")
	}
	if accepted, answer := both[0].call("whoami", object{}, patience); !accepted {
		t.Errorf("whoami: %s", answer)
	}
}

// makeOld makes a file with the schema as it was before replicas were kept, and
// the rows of another.
func makeOld(t *testing.T, from, to string) {
	t.Helper()
	file, err := sql.Open("sqlite", "file:"+to)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.SetMaxOpenConns(1) // the attached file is a connection's own
	run := func(statement string, args ...any) {
		t.Helper()
		if _, err := file.Exec(statement, args...); err != nil {
			t.Fatalf("%v in %.80s", err, statement)
		}
	}
	run("ATTACH ? AS new", from)
	var versions string
	if err := file.QueryRow("SELECT sql FROM new.sqlite_master WHERE name = 'goose_db_version'").Scan(&versions); err != nil {
		t.Fatal(err)
	}
	migrations, err := filepath.Glob(filepath.Join(repository, "db", "migrations", "*.sql"))
	old := slices.IndexFunc(migrations, func(path string) bool { return strings.HasPrefix(filepath.Base(path), "00007") })
	if err != nil || old != 6 {
		t.Fatalf("%v: %v", migrations, err)
	}
	run(strings.Replace(versions, "CREATE TABLE ", "CREATE TABLE main.", 1))
	for _, path := range migrations[:old] {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		run(up)
	}
	tables := column(t, file, "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'goose_db_version'")
	if len(tables) < 8 {
		t.Fatalf("only %v", tables)
	}
	for _, table := range tables {
		common := column(t, file, fmt.Sprintf("SELECT '\"' || o.name || '\"' FROM pragma_table_info('%s', 'main') o JOIN pragma_table_info('%[1]s', 'new') n ON n.name = o.name", table))
		columns := strings.Join(common, ", ")
		run(fmt.Sprintf(`DELETE FROM main."%s"`, table))
		run(fmt.Sprintf(`INSERT INTO main."%s" (%s) SELECT %[2]s FROM new."%[1]s"`, table, columns))
	}
	run("INSERT INTO main.goose_db_version SELECT * FROM new.goose_db_version WHERE version_id < 7")
}

func column(t *testing.T, file *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := file.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		values = append(values, one)
	}
	return values
}
