package keys_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestManyWritersAreNoGaps checks the trail of a tenant that many processes have
// written to, each of them a chain: bailiwick stdio is one at each start.
func TestManyWritersAreNoGaps(t *testing.T) {
	checker := keys.NewAuditChecker()
	for n := range 30_000 {
		if err := checker.Add(chained(fmt.Sprint("process ", n), 1)); err != nil {
			t.Fatalf("chain %d: %v", n, err)
		}
	}
	for _, v := range checker.Verdicts() {
		if v.Problem != "" {
			t.Fatalf("%s: %s", v.Writer, v.Problem)
		}
	}
}

// TestTooManyGaps gives up on a chain of which every other entry is left out.
func TestTooManyGaps(t *testing.T) {
	checker := keys.NewAuditChecker()
	for n := int64(0); n < 30_000; n++ {
		if err := checker.Add(chained("process", 1+2*n)); err != nil {
			if !errors.Is(err, keys.ErrAuditGaps) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("it kept 30,000 gaps")
}

// chained is an entry of a chain, with the hash that it would have as its first.
func chained(writer string, seq int64) keys.AuditEntry {
	e := keys.AuditEntry{ID: fmt.Sprint(writer, " ", seq), TenantID: "t1", Time: time.UnixMicro(1), Kind: "call", Writer: writer, Seq: seq}
	e.Hash = keys.AuditHash("", &e)
	return e
}
