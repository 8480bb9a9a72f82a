package e2e_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// shell runs commands as a person types them, with the binary in the PATH and the
// first key for --url, and answers what they say.
func (s *server) shell(t *testing.T) func(command string) string {
	return func(command string) string {
		t.Helper()
		shell := exec.Command("sh", "-c", command)
		shell.Env = append(cleanEnv(), "PATH="+filepath.Dir(bailiwickBin)+":/usr/bin:/bin", "BAILIWICK_KEY="+s.firstKey)
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
}
