package db_test

import (
	"context"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"
	pgquery "github.com/wasilibs/go-pgquery"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

// statements collects what stores say to their database, each once but for the
// values in it, and holds it to the rules and to a file for people to read.
type statements struct {
	file string
	mu   sync.Mutex
	said map[string]bool
}

var _ bun.QueryHook = (*statements)(nil)

func overhear(t *testing.T, file string) *statements {
	t.Helper()
	return &statements{file: file, said: map[string]bool{}}
}

func (s *statements) open(t *testing.T, cfg db.Config) *db.DB {
	t.Helper()
	d := dbtest.Open(t, cfg)
	d.Overhear(s)
	return d
}

func (s *statements) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

// AfterQuery keeps one statement of those that differ only in their values and
// in how many there are: the shortest, so that the file is the same each time.
func (s *statements) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[e.Query] = true
}

// different are the statements without their values, by their fingerprint.
func (s *statements) different(t *testing.T) []string {
	t.Helper()
	byKind := map[string]string{}
	for query := range s.said {
		if transactional(query) {
			continue
		}
		kind, err1 := pgquery.Fingerprint(query)
		text, err2 := pgquery.Normalize(query)
		if err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v", query, err1, err2)
			continue
		}
		text = anyNumber.ReplaceAllString(text, `IN ($$1)`) // how many there are is chance
		if old, there := byKind[kind]; !there || len(text) < len(old) || len(text) == len(old) && text < old {
			byKind[kind] = text
		}
	}
	return slices.Sorted(maps.Values(byKind))
}

var anyNumber = regexp.MustCompile(`IN \(\$\d+(, \$\d+)*\)`)

// transactional is what the driver is told in its own way, of which the hook
// hears as these words.
func transactional(query string) bool {
	return query == "BEGIN" || query == "COMMIT" || query == "ROLLBACK"
}

func (s *statements) check(t *testing.T) {
	t.Helper()
	different := s.different(t)
	for _, text := range different {
		for _, flaw := range flaws("statement", text) {
			t.Errorf("%s: in %s", flaw, text)
		}
	}
	if *update {
		if err := os.WriteFile(s.file, []byte(strings.Join(different, ";\n")+";\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatalf("no statements to compare with (-update writes them): %v", err)
	}
	known := strings.Split(strings.TrimSuffix(strings.TrimSpace(string(text)), ";"), ";\n")
	for _, text := range different {
		if !slices.Contains(known, text) {
			t.Errorf("%s does not have this yet (-update writes it): %s", s.file, text)
		}
	}
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // a part of the suite says less
	}
	for _, text := range known {
		if !slices.Contains(different, text) {
			t.Errorf("%s has what is never said (-update takes it out): %s", s.file, text)
		}
	}
}

// TestOnePlaceListens: a session's state is needed by the listening alone, which
// has a connection of its own.
func TestOnePlaceListens(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") && strings.Contains(string(text), `"LISTEN `) {
			found = append(found, file)
		}
	}
	if !slices.Equal(found, []string{"listen.go"}) {
		t.Errorf("LISTEN is in %v", found)
	}
}
