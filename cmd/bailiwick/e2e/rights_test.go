package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestLeastRights: a server needs no right to change the schema.
func TestLeastRights(t *testing.T) {
	url := postgresURL(t)
	if _, stderr, code := ask(t, "migrate", "--database-url", url); code != 0 {
		t.Fatal(stderr)
	}
	role := "bailiwick_run_" + strings.ToLower(time.Now().Format("150405.000000")[7:])
	onPostgres(t, url, "CREATE ROLE "+role+" LOGIN PASSWORD 'run'")
	onPostgres(t, url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "+role)
	t.Cleanup(func() { dropRole(t, url, role) })
	running := asRole(t, url, role)
	s := serve(t, "--database-url", running)
	id, token := s.rest().key(t, fullAccess())
	r := newCallers(t)
	eventually(t, "the key is let in", func() string {
		if status := r.call(s, token); status != 200 {
			return fmt.Sprint(status)
		}
		return ""
	})
	s.rest().must(t, "POST", "/api/api-keys/"+id+"/rotate", object{"graceSeconds": 0})
	if status, body := s.rest().do(t, "DELETE", "/api/api-keys/"+id, nil); status >= 300 {
		t.Errorf("%d %s", status, body)
	}
	s.stop(t)
	if _, stderr, code := ask(t, "migrate", "--check", "--database-url", running); code != 0 {
		t.Error(stderr)
	}
}

// asRole is a database's URL with another user.
func asRole(t *testing.T, database, role string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Del("user")
	u.User, u.RawQuery = url.UserPassword(role, "run"), query.Encode()
	if u.Host == "" { // the host is a folder, and a user needs one here
		u.Host = "localhost"
	}
	return u.String()
}

func dropRole(t *testing.T, url, role string) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
		t.Error(err)
	}
}
