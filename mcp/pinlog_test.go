package mcp_test

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// TestQuarantineIsLogged: the operator is told when tools begin to wait, of which
// instance and how many, and not while nothing does.
func TestQuarantineIsLogged(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	w := newWorld(t, func(cfg *mcp.Config) { cfg.Log = zap.New(core) })
	up := newUpstream(t, defined("read_x", ""), defined("read_y", ""))
	i := w.mount("a1", up)
	w.quarantined(i, "read_x", false)
	told := func() []observer.LoggedEntry { return logs.FilterField(zap.String("instance", "a1")).All() }
	if got := told(); len(got) != 0 {
		t.Fatalf("nothing waits: %v", got)
	}
	up.setTools(redefined("read_x"), defined("read_y", ""))
	w.quarantined(i, "read_x", true)
	w.until("it is logged", func() bool { return len(told()) > 0 })
	if got := told()[0].ContextMap()["tools"]; got != int64(1) {
		t.Errorf("%v tools", got)
	}
}
