package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// canary is a token by the pieces that must be nowhere: any 12 characters of
// its body. The shown prefix has only 4 of them.
type canary map[string]string // piece -> whose

const pieceLength = 12

func (c canary) add(t testing.TB, name, token string) {
	t.Helper()
	body, ok := strings.CutPrefix(token, "bwk_live_")
	if !ok || len(body) != 49 {
		t.Fatalf("%s is no token", name)
	}
	for i := 0; i+pieceLength <= len(body); i++ {
		c[body[i:i+pieceLength]] = name
	}
}

// in tells whose token a text has pieces of, and where.
func (c canary) in(text string) string {
	for i := 0; i+pieceLength <= len(text); i++ {
		if name, found := c[text[i:i+pieceLength]]; found {
			return fmt.Sprintf("12 characters of %s at %d of %d", name, i, len(text))
		}
	}
	return ""
}

// sinks are all places where something was kept, by name.
type sinks map[string]string

// folder adds every file below a folder.
func (s sinks) folder(t testing.TB, when, folder string) {
	t.Helper()
	before := len(s)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		s[when+" "+filepath.Base(path)] = string(content)
		return err
	})
	if err != nil || len(s) == before {
		t.Fatalf("%v: no file was looked at", err)
	}
}

// postgres adds every row of every table, with binary columns as they are.
func (s sinks) postgres(t testing.TB, url string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	columns, err := conn.Query(ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' ORDER BY table_name, ordinal_position`)
	if err != nil {
		t.Fatal(err)
	}
	type column struct{ table, name, kind string }
	all, err := pgx.CollectRows(columns, func(row pgx.CollectableRow) (c column, err error) {
		err = row.Scan(&c.table, &c.name, &c.kind)
		return c, err
	})
	if err != nil || len(all) < 50 {
		t.Fatalf("%v: only %d columns", err, len(all))
	}
	for _, c := range all {
		text := pgx.Identifier{c.name}.Sanitize() + "::text"
		if c.kind == "bytea" {
			text = "encode(" + pgx.Identifier{c.name}.Sanitize() + ", 'escape')"
		}
		rows, err := conn.Query(ctx, "SELECT coalesce("+text+", '') FROM "+pgx.Identifier{c.table}.Sanitize())
		if err != nil {
			t.Fatal(err)
		}
		values, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		s[c.table+"."+c.name] = strings.Join(values, "\n")
	}
}

// check finds no piece of a canary in any sink, and looks at what must be
// there: a scan of nothing finds nothing.
func (s sinks) check(t *testing.T, c canary, present ...string) {
	t.Helper()
	for _, mark := range present {
		if !slices.ContainsFunc(slices.Collect(maps.Values(s)), func(text string) bool { return strings.Contains(text, mark) }) {
			t.Errorf("%q is in no sink: they are not what was meant to be looked at", mark)
		}
	}
	for name, text := range s {
		if found := c.in(text); found != "" {
			t.Errorf("%s holds %s", name, found)
		}
	}
}
