package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// route is a line of the REST API's table, whose golden file a test of
// keys/rest holds to be the whole of it.
type route struct{ method, path string }

func routes(t testing.TB) []route {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(repository, "keys", "rest", "testdata", "routes.golden"))
	if err != nil {
		t.Fatal(err)
	}
	var all []route
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[1], "/") {
			t.Fatalf("%q is no route", line)
		}
		all = append(all, route{fields[0], fields[1]})
	}
	if len(all) < 25 {
		t.Fatalf("only %d routes", len(all))
	}
	return all
}

// about is the path with another text in every wildcard's place; the tenant's
// stays the tenant.
func (r route) about(text string) string {
	parts := strings.Split(r.path, "/")
	for i, part := range parts {
		switch {
		case part == "{tenantId}" || part == "{orgID}":
			parts[i] = "default"
		case strings.HasPrefix(part, "{"):
			parts[i] = text
		}
	}
	return strings.Join(parts, "/")
}
