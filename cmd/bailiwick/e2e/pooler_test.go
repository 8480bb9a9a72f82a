package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

// TestServersBehindAPooler lets three servers reach Postgres by a PgBouncer in
// transaction mode alone, or listen past it: what is revoked is refused by all.
func TestServersBehindAPooler(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprint("listening directly ", direct), func(t *testing.T) {
			url := dbtest.EmptyPostgres(t)
			args := []string{"--database-url", dbtest.StartPooler(t).Through(t, url).URL, "--migrate"}
			if direct {
				args = append(args, "--database-listen-url", url.URL)
			}
			r := newCallers(t)
			data := t.TempDir()
			for i := range r.servers {
				r.servers[i] = serveOn(t, data, nil, args...)
			}
			const says = "found by polling"
			if !direct {
				for _, s := range r.servers {
					eventually(t, "the log says that it polls", func() string {
						if strings.Contains(s.log.String(), says) {
							return ""
						}
						return "it does not"
					})
				}
			}
			for _, token := range r.revokeMany(t, "pooled", 9) {
				for i, s := range r.servers {
					if status := r.call(s, token); status == 200 {
						t.Errorf("server %d accepts what was taken away", i)
					}
				}
			}
			if r.accepted.Load() == 0 || r.refused.Load() == 0 {
				t.Errorf("%d calls accepted, %d refused: one side was never tried", r.accepted.Load(), r.refused.Load())
			}
			for _, s := range r.servers {
				if direct && strings.Contains(s.log.String(), says) {
					t.Error("a server that listens directly polls")
				}
			}
		})
	}
}
