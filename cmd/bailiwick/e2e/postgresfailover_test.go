package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

// TestPostgresFailsOver lets a primary die, or fall silent, under calls and
// edits and promotes its standby, which by synchronous replication has all that
// was acknowledged. The servers know both by one URL, and go on with the new one.
func TestPostgresFailsOver(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(primary *dbtest.Cluster)
		soon bool // the servers notice at once
	}{
		{"killed", func(primary *dbtest.Cluster) { primary.Kill(t) }, true},
		// As when the machine is gone: no connection is closed, none is refused.
		{"silent", func(primary *dbtest.Cluster) { primary.Freeze(t) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			primary := dbtest.Durable(t)
			standby := primary.Standby(t, "standby")
			primary.Exec(t, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
			primary.Exec(t, "SELECT pg_reload_conf()")
			s := newStorm(t, 2, "--database-url", primary.URL(standby))
			s.begin()
			time.Sleep(2 * time.Second)
			o := downtime{from: time.Now()}
			c.end(primary)
			time.Sleep(time.Second)
			standby.Promote(t)
			o.to = time.Now()
			r := s.recover(t, o)
			s.hears(t, standby)
			heard := time.Since(o.to)
			time.Sleep(2 * time.Second)
			s.end()
			if s.report(t, []downtime{o}) == 0 {
				t.Error("no call was served between the primary's end and the promotion")
			}
			t.Logf("without a primary for %s: all servers have read anew %s after the promotion, the first edit came %s after it, "+
				"all listen %s after it; the slowest answer took %s", o.to.Sub(o.from).Round(time.Millisecond), r.read.Round(time.Millisecond),
				r.edit.Round(time.Millisecond), heard.Round(time.Millisecond), s.longest().Round(time.Millisecond))
			if c.soon && max(r.read, r.edit) > *recoverIn {
				t.Errorf("the recovery took longer than %s", *recoverIn)
			}
			s.check(t)
		})
	}
}

// hears waits until each server listens for edits at the database.
func (s *storm) hears(t *testing.T, at *dbtest.Cluster) {
	t.Helper()
	eventually(t, "all servers listen", func() string {
		n := at.Count(t, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
		if n < len(s.servers) {
			return fmt.Sprintf("only %d do", n)
		}
		return ""
	})
}
