package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	ownModule  = "github.com/bailiwick-mcp/bailiwick/"
	repository = "../.."
)

// arrows says which of our packages each one may import: the arrows run
// policy <- keys <- {db, mcp, keys/bearer, keys/rest, keys/spool} <- {store, guard, cmd}, and
// packages in the first braces never import one another. Tests may look further.
var arrows = map[string][]string{
	"policy":        {},
	"keys":          {"policy"},
	"keys/wire":     {"policy", "keys"},
	"keys/keystest": {"policy", "keys"},
	"keys/bearer":   {"policy", "keys", "keys/wire"},
	// an OpenID provider, as independent of what it tests as one out there
	"keys/bearer/bearertest": {},
	"keys/filelock":          {},
	"keys/spool":             {"keys", "keys/filelock"},
	"keys/rest":              {"policy", "keys", "keys/wire"},
	"keys/rest/resttest":     {},
	"mcp/rawjson":            {},
	"mcp/upstream/http1":     {},
	"mcp/upstream":           {"policy", "keys", "mcp/rawjson", "mcp/upstream/http1"},
	"mcp":                    {"policy", "keys", "keys/wire", "mcp/rawjson", "mcp/upstream"},
	"db":                     {"policy", "keys"},
	"db/dbtest":              {"policy", "keys", "db"},
	"db/migrations":          {},
	"store":                  {"keys", "db"},
	"guard":                  {"keys", "keys/bearer", "store", "mcp", "mcp/upstream"},
	// a program of somebody else's, who knows only this of us
	"examples/library": {"guard"},
	"cmd/notes":        {},
	"cmd/bailiwick":    {"policy", "keys", "keys/wire", "keys/bearer", "keys/rest", "keys/spool", "mcp", "mcp/upstream", "db", "keys/filelock", "store"},
	// no code of its own: tests only
	"cmd/bailiwick/bench":            {},
	"cmd/bailiwick/e2e":              {},
	"cmd/bailiwick/e2e/oidcprovider": {"keys/bearer/bearertest"},
	// an MCP server, as independent of what it tests as one out there
	"cmd/bailiwick/e2e/conformanceserver": {},
	"cmd/bailiwick/e2e/eraserver":         {},
}

// standardOnly are the packages that import only the standard library.
var standardOnly = []string{"policy", "mcp/rawjson", "keys/bearer/bearertest"}

func TestImportsFollowTheArrows(t *testing.T) {
	files, imports := 0, 0
	err := filepath.WalkDir(repository, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && file != repository && (name[0] == '.' || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		files++
		relative, err := filepath.Rel(repository, filepath.Dir(file))
		if err != nil {
			return err
		}
		imports += checkImports(t, file, filepath.ToSlash(relative))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 || imports < 50 {
		t.Fatalf("only %d files with %d imports of our own were looked at", files, imports)
	}
}

// checkImports answers how many of our own packages the file imports.
func checkImports(t *testing.T, file, pkg string) (ours int) {
	t.Helper()
	allowed, known := arrows[pkg]
	if !known {
		t.Errorf("%s: package %s has no place in the arrows", file, pkg)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return 0
	}
	for _, spec := range parsed.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if target, own := strings.CutPrefix(imported, ownModule); own {
			ours++
			if !slices.Contains(allowed, target) {
				t.Errorf("%s: %s may not import %s", path.Base(file), pkg, target)
			}
		} else if slices.Contains(standardOnly, pkg) && strings.Contains(imported, ".") {
			t.Errorf("%s: %s imports %s, which is not of the standard library", path.Base(file), pkg, imported)
		}
	}
	return ours
}
