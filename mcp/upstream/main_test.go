package upstream_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the upstream: the tests start this binary again, with the
// name of a server below in its environment.
func TestMain(m *testing.M) {
	if name := os.Getenv("UPSTREAM_TEST_SERVER"); name != "" {
		serve, ok := stdioServers[name]
		if !ok {
			println("no such server:", name)
			os.Exit(3)
		}
		serve()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
