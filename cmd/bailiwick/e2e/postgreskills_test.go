package e2e_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

var (
	kills      = flag.Int("kills", 3, "how many times TestPostgresKills kills Postgres")
	recoverIn  = flag.Duration("recover-in", patience, "how soon after Postgres is back all must work again")
	outageOnce = flag.Duration("outage", time.Second, "how long Postgres is away at least in TestPostgresKills; half as long again at most")
)

// TestPostgresKills kills Postgres with kill -9 and starts it again, many times,
// while keys call and are changed: no acknowledged edit is lost, no call is
// allowed whose right was taken away, and keys that the servers know go on being
// served meanwhile.
func TestPostgresKills(t *testing.T) {
	postgres := dbtest.Durable(t)
	s := newStorm(t, 3, "--database-url", postgres.URL())
	s.begin()
	var outages []downtime
	var slowest recovery
	for range *kills {
		time.Sleep(time.Second + rand.N(time.Second))
		o := downtime{from: time.Now()}
		postgres.Kill(t)
		time.Sleep(*outageOnce + rand.N(*outageOnce/2))
		postgres.Start(t)
		o.to = time.Now()
		outages = append(outages, o)
		r := s.recover(t, o)
		slowest = recovery{max(slowest.read, r.read), max(slowest.edit, r.edit)}
		t.Logf("away %s; read anew %s after it is back, first edit %s", o.to.Sub(o.from).Round(time.Millisecond),
			r.read.Round(time.Millisecond), r.edit.Round(time.Millisecond))
	}
	time.Sleep(time.Second)
	s.end()
	if s.report(t, outages) == 0 {
		t.Error("no call was served while Postgres was away")
	}
	t.Logf("%d kills: the slowest recovery is %s until all servers have read anew, %s until the first edit", *kills,
		slowest.read.Round(time.Millisecond), slowest.edit.Round(time.Millisecond))
	if slowest.read > *recoverIn || slowest.edit > *recoverIn {
		t.Errorf("the recovery took longer than %s", *recoverIn)
	}
	s.check(t)
}
