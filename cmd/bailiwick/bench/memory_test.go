package bench_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

const (
	sessionsPerKey = 500 // the server keeps 512
	streamsPerKey  = 60  // and 64
	calm           = 3 * time.Second
)

// imported makes n keys whose tokens we know, as an import from another system
// does: 10,000 in one request.
func (p *process) imported(t testing.TB, n int) (tokens []string) {
	t.Helper()
	var lines bytes.Buffer
	for i := range n {
		tokens = append(tokens, fmt.Sprintf("bench-token-%032d", i))
		line, err := json.Marshal(map[string]any{
			"name": fmt.Sprintf("bench %d", i), "hash": fmt.Sprintf("%x", sha256.Sum256([]byte(tokens[i]))),
			"mcpReadOnly": false, "mcpPreset": "full_access", "mcpAllowlistMode": "allow", "mcpToolAllowlist": append(patterns(), "tool_01*"),
		})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	p.rest(t, http.MethodPost, "/api/api-keys/import/bulk", "application/x-ndjson", lines.Bytes())
	return tokens
}

// TestMemory is the resident memory with 1,000 tools mounted: of a server
// that has just started on a store with *many keys, when each of them has listed
// once, and what each of *many/5 sessions adds.
func TestMemory(t *testing.T) {
	upstream := ourselves(t, "be-upstream", fmt.Sprint(manyTools))
	mounted := map[string]any{"many": over(upstream.url + "/many")}
	data := t.TempDir()
	var tokens []string
	prepared := t.Run("prepare", func(t *testing.T) { // its server ends with it
		tokens = serveOn(t, data, mounted).imported(t, *many)
	})
	if !prepared {
		t.FailNow()
	}
	gateway := serveOn(t, data, mounted)
	dial(t, gateway, message{era: modern, token: tokens[0], path: "/mcp", method: "tools/list"})
	fresh := gateway.resident(t)
	for _, token := range tokens {
		_ = dial(t, gateway, message{era: modern, token: token, path: "/mcp", method: "tools/list"}).conn.Close()
	}
	cached := gateway.resident(t)
	time.Sleep(min(calm, *settle*10))
	calmed := gateway.resident(t)
	sessions := max(*many/5, 2)
	open := func(from int) int {
		for i := range sessions {
			_ = dial(t, gateway, message{era: legacy, token: tokens[(from+i)/sessionsPerKey], path: "/mcp", method: "ping"}).conn.Close()
		}
		return gateway.resident(t)
	}
	// The first ones let the heap grow to what it may; the second as many show
	// what they keep.
	some, twice := open(0), open(sessions)
	t.Logf("resident: %.1f MB on the first list of %d tools; %.1f MB when %d keys have listed, %.1f MB a while after; %.1f and %.1f MB with %d and %d idle sessions, %.1f KB each",
		megabytes(fresh), manyTools, megabytes(cached), len(tokens), megabytes(calmed),
		megabytes(some), megabytes(twice), sessions, 2*sessions, float64(twice-some)/float64(sessions))
}

func megabytes(kilobytes int) float64 { return float64(kilobytes) / 1024 }
