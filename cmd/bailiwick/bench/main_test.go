package bench_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// How much is measured. The defaults are for seeing that it runs.
var (
	slice  = flag.Duration("slice", 20*time.Millisecond, "how long one target is driven before the next")
	settle = flag.Duration("settle", 0, "pause after a slice, whose CPU counts as the slice's")
	rounds = flag.Int("rounds", 1, "how often each target has its turn")
	many   = flag.Int("many", 64, "keys cached, sessions and streams opened (the real ones: 10000, 2000 and 2000)")
)

var bailiwickBin string

// TestMain builds the binary. The test binary is also what is measured beside
// it, when its first argument says so.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			if err := role(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(run(m))
}

var roles = map[string]func(args []string) error{
	"be-upstream": beUpstream,
	"be-stdio":    beStdio,
	"be-proxy":    beProxy,
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bwk-bench")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bailiwickBin = filepath.Join(dir, "bailiwick")
	build := exec.Command("go", "build", "-o", bailiwickBin, "github.com/bailiwick-mcp/bailiwick/cmd/bailiwick")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binary:", err)
		return 1
	}
	return m.Run()
}
