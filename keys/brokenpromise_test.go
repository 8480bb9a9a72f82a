package keys_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrokenPromises breaks the protocol in one place at a time and holds that
// TestPromise sees it.
func TestBrokenPromises(t *testing.T) {
	for name, broken := range map[string]struct{ file, line, instead string }{
		"a load is kept after what it read was changed": {"cache.go", "if c.changed[tag] > mark {", "if c.changed[tag] > mark && false {"},
		"an edit waits for nobody":                      {"propagation.go", "if len(now.late) == 0 {", "if len(now.late) >= 0 {"},
		"a lease counts from the beat's end":            {"replica.go", "r.leased = asked", "r.leased = s.cfg.Now()"},
		"a stale replica goes on":                       {"authenticate.go", "if err := s.Fresh(); err != nil {", "if err := s.Fresh(); err != nil && false {"},
		"two beats have one number":                     {"replica.go", "r.row.Beat++", "r.row.Beat = max(r.row.Beat, 1)"},
		"a beat is sent before the edits are applied":   {"feed.go", "s.cache.drop(changes)", "defer s.cache.drop(changes)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(broken.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), broken.line); n != 1 {
				t.Fatalf("%q is %d times in %s", broken.line, n, broken.file)
			}
			dir := t.TempDir()
			changed, overlay := filepath.Join(dir, broken.file), filepath.Join(dir, "overlay.json")
			original, err := filepath.Abs(broken.file)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
			write(t, changed, strings.Replace(string(source), broken.line, broken.instead, 1))
			write(t, overlay, string(text))
			out, err := exec.Command("go", "test", "-count=1", "-overlay", overlay, "-run", "^TestPromise$", ".", "-schedules", "2000").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "a revoked key was accepted") {
				t.Errorf("nobody saw it: %v\n%s", err, out)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
