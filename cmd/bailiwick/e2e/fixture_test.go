package e2e_test

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
)

// fixtureAt starts an upstream that says "listening on URL" first, and answers
// the URL. It ends with the test.
func fixtureAt(t testing.TB, command *exec.Cmd) string {
	t.Helper()
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("the fixture says %q, %v", line, err)
	}
	return url
}
