package e2e_test

import (
	"flag"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
)

const (
	// freezeStaleness is how long the servers of this test decide without the store.
	freezeStaleness = 3 * time.Second
	// answerWithin is how long a call or an edit may take at most while the
	// database is silent (docs/failover.md), with what a busy machine adds.
	answerWithin = 15 * time.Second
)

var freezeFor = flag.Duration("freeze", 10*time.Second, "how long Postgres is silent in TestPostgresFreezes")

// TestPostgresFreezes stops all processes of Postgres (SIGSTOP), which then keeps
// its connections and answers nothing: known keys are served for max-staleness,
// then every call and every edit is refused in time, and nothing hangs; it all
// works again when Postgres goes on.
func TestPostgresFreezes(t *testing.T) {
	postgres := dbtest.Durable(t)
	s := newStorm(t, 2, "--max-staleness", freezeStaleness.String(), "--database-url", postgres.URL())
	s.begin()
	time.Sleep(time.Second)
	o := downtime{from: time.Now()}
	thaw := postgres.Freeze(t)
	time.Sleep(*freezeFor)
	for i, server := range s.servers {
		if status, body := server.rest().do(t, "GET", "/readyz", nil); status != 503 {
			t.Errorf("server %d is ready while Postgres is silent: %d %s", i, status, body)
		}
	}
	thaw()
	o.to = time.Now()
	r := s.recover(t, o)
	time.Sleep(time.Second)
	s.end()
	if s.report(t, []downtime{o}) == 0 {
		t.Error("no call was served while Postgres was silent")
	}
	t.Logf("silent for %s: all servers have read anew %s after it, the first edit came %s after it; the slowest answer took %s",
		o.to.Sub(o.from).Round(time.Millisecond), r.read.Round(time.Millisecond), r.edit.Round(time.Millisecond), s.longest().Round(time.Millisecond))
	if r.read > *recoverIn || r.edit > *recoverIn {
		t.Errorf("the recovery took longer than %s", *recoverIn)
	}
	if s.longest() > answerWithin {
		t.Errorf("an answer took longer than %s", answerWithin)
	}
	for i := range s.calls {
		if c := &s.calls[i]; c.allowed && c.ended.Before(o.to) && c.began.Sub(o.from) > freezeStaleness+time.Second {
			t.Errorf("server %d served from memory %s after Postgres fell silent", c.server, c.began.Sub(o.from))
		}
	}
	s.check(t)
}
