package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/bailiwick-mcp/bailiwick"

// Built once for all tests.
var (
	bailiwickBin string
	notesBin     string
	repository   string
)

// TestMain builds the binaries. The test binary itself serves as a faulty
// upstream when its first argument says so.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "faulty-upstream" {
		faultyUpstream(os.Args[2], os.Stdin, os.Stdout)
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bwk-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bailiwickBin, notesBin = filepath.Join(dir, "bailiwick"), filepath.Join(dir, "notes")
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "finding the module:", err)
		return 1
	}
	repository = strings.TrimSpace(string(root))
	for target, pkg := range map[string]string{bailiwickBin: "/cmd/bailiwick", notesBin: "/cmd/notes"} {
		build := exec.Command("go", "build", "-o", target, module+pkg)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n", pkg, err)
			return 1
		}
	}
	return m.Run()
}

// fixture is the path of something in testdata/e2e. Without the npm packages
// a test fails, here and everywhere: a skipped one would look like a pass.
func fixture(t testing.TB, path ...string) string {
	t.Helper()
	full := filepath.Join(append([]string{repository, "testdata", "e2e"}, path...)...)
	if _, err := os.Stat(full); err != nil {
		t.Fatalf("%v\nhint: `make deps` installs the npm packages of these tests", err)
	}
	return full
}

func everything(t testing.TB) string {
	return fixture(t, "node_modules", "@modelcontextprotocol", "server-everything", "dist", "index.js")
}

func filesystem(t testing.TB) string {
	return fixture(t, "node_modules", "@modelcontextprotocol", "server-filesystem", "dist", "index.js")
}

// nodePath is Node's own path: an instance's environment is scrubbed.
func nodePath(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v\nhint: the tests against real MCP servers need Node 20 or later", err)
	}
	return path
}
