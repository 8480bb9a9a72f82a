package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneServerPerFile: a second server on the same folder or file, by whichever
// name, refuses to start and leaves the first one alone; one that was killed is
// in nobody's way.
func TestOneServerPerFile(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	for link, target := range map[string]string{
		"link":           "d", // of the folder; of the file alone:
		"e/bailiwick.db": "../d/bailiwick.db", "f/bailiwick.db": parent + "/link/bailiwick.db", "g/bailiwick.db": "../e/bailiwick.db",
		"new/bailiwick.db": "../d/bailiwick-2.db", // which is not there yet
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(parent, link)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(parent, link)); err != nil {
			t.Fatal(err)
		}
	}
	first := serveOn(t, parent+"/d", nil)
	copySecret(t, parent+"/d", parent+"/e", parent+"/f", parent+"/g")
	refused := func(when string) {
		t.Helper()
		for _, data := range []string{parent + "/d", "d", "./d/", "link", "d/../link", "e", "f", "g", parent + "/g/"} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			second := exec.CommandContext(ctx, bailiwickBin, "serve", "--addr", "127.0.0.1:0", "--data", data)
			second.Dir, second.Env = parent, cleanEnv()
			var problems strings.Builder
			second.Stderr = &problems
			out, _ := second.Output()
			if code := second.ProcessState.ExitCode(); code != 1 || len(out) > 0 ||
				!strings.Contains(problems.String(), "error: another server already serves "+data+" (process ") || !strings.Contains(problems.String(), "hint: ") {
				t.Fatalf("%s, %s: exit %d, %q %s", when, data, code, out, problems.String()) // by now it has had its time
			}
		}
	}
	refused("beside the first")
	if accepted, _ := first.whoami(first.firstKey); !accepted {
		t.Error("the first is disturbed")
	}
	another := serveOn(t, parent+"/new", nil)
	if accepted, _ := another.whoami(another.firstKey); !accepted {
		t.Error("another file of the same folder is not served")
	}
	first.kill()
	next := serveOn(t, parent+"/link", nil)
	if accepted, _ := next.whoami(first.firstKey); !accepted || next.firstKey != "" {
		t.Errorf("after a kill: accepted %v, another first key: %v", accepted, next.firstKey != "")
	}
	refused("beside the next")
}

// copySecret makes the folders open the store of the first one.
func copySecret(t *testing.T, from string, to ...string) {
	t.Helper()
	secret, err := os.ReadFile(filepath.Join(from, "root.secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range to {
		if err := os.WriteFile(filepath.Join(folder, "root.secret"), secret, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
