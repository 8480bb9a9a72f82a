package rest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// Every exchange that is recorded goes the same way on each database, to the
// byte, and leaves the same state behind. -update records the answers anew.
func TestExchanges(t *testing.T) {
	paths, err := filepath.Glob("testdata/exchanges/*/*.txtar")
	if err != nil || len(paths) < 25 {
		t.Fatalf("only %d exchanges, %v", len(paths), err)
	}
	var mu sync.Mutex
	all := map[string][]asked{} // by shape
	t.Run("file", func(t *testing.T) {
		for _, path := range paths {
			dir, name := filepath.Split(strings.TrimSuffix(path, ".txtar"))
			shape := filepath.Base(dir)
			t.Run(shape+"/"+name, func(t *testing.T) {
				t.Parallel()
				var requests []asked
				dbtest.Each(t, func(t *testing.T, cfg db.Config) { requests = replayFile(t, cfg, path) })
				checkFile(t, shape, name, requests)
				mu.Lock()
				defer mu.Unlock()
				all[shape] = append(all[shape], requests...)
			})
		}
	})
	if t.Failed() {
		return
	}
	routes := rest.Routes()
	for _, route := range routes {
		checkRoute(t, route, all[route.Shape])
	}
	if len(routes) < 25 {
		t.Errorf("only %d routes", len(routes))
	}
}

func replayFile(t *testing.T, cfg db.Config, path string) []asked {
	t.Helper()
	file, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(file.Files); n == 0 || file.Files[n-1].Name != "state" || len(file.Comment) == 0 {
		t.Fatal("an exchange begins with a sentence and ends with the state")
	}
	got, requests := newSite(t, cfg).replay(file)
	text := txtar.Format(got)
	if *update && cfg.URL == "" {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(text) {
		t.Errorf("differs from %s (run go test -update if it should):\n%s", path, difference(string(want), string(text)))
	}
	return requests
}

// difference is where two texts part.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	cut := func(lines []string) string {
		return strings.Join(lines[max(0, min(at-3, len(lines))):min(len(lines), at+8)], "\n")
	}
	return "want\n" + cut(a) + "\ngot\n" + cut(b)
}

// checkFile holds an exchange to be about the operation that it is named after.
func checkFile(t *testing.T, shape, name string, requests []asked) {
	t.Helper()
	succeeded, refused := false, false
	for _, route := range rest.Routes() {
		for _, r := range requests {
			if route.Shape != shape || route.Operation != name || !r.is(route) {
				continue
			}
			succeeded = succeeded || r.status == route.Status
			refused = refused || r.status >= http.StatusBadRequest
		}
	}
	if !succeeded || !refused {
		t.Errorf("the operation %s succeeds: %v, is refused: %v", name, succeeded, refused)
	}
}

// checkRoute holds every route to have been asked, with success, and with the
// errors that follow from what it takes.
func checkRoute(t *testing.T, route rest.Route, requests []asked) {
	t.Helper()
	seen := map[int]bool{}
	for _, r := range requests {
		if r.is(route) {
			seen[r.status] = true
		}
	}
	need := func(when bool, why string, statuses ...int) {
		t.Helper()
		for _, status := range statuses {
			when = when && !seen[status]
		}
		if when {
			t.Errorf("%s %s %s: no exchange with %s (%v), only %v", route.Shape, route.Method, route.Path, why, statuses, seen)
		}
	}
	need(true, "success", route.Status)
	need(strings.Contains(route.Path, "{"), "an unknown thing", http.StatusNotFound)
	need(route.Body, "a bad body", http.StatusBadRequest, http.StatusUnprocessableEntity)
	need(len(route.Query) > 0, "a bad query", http.StatusBadRequest)
	need(route.IfMatch, "another version", http.StatusPreconditionFailed)
}
