package keys_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestHostLimit(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	l := keys.HostLimit{Burst: 10, Every: 2 * time.Second}
	turns := func(addr string) (n int) {
		for n < 100 && l.Allow(addr, now) {
			n++
		}
		return n
	}
	for _, step := range []struct {
		addr string
		want int
	}{
		{"192.0.2.1:1234", 10}, {"192.0.2.1:4321", 0}, {"[::ffff:192.0.2.1]:1", 0}, {"192.0.2.2:1234", 10},
		{"[2001:db8::1]:1", 10}, {"[2001:db8::ffff:2]:1", 0}, {"[2001:db8:0:1::1]:1", 10}, {"[fe80::1%eth0]:1", 10}, {"[fe80::1%eth1]:1", 0},
		{"@", 10}, {"", 10}, {"@", 0},
	} {
		if got := turns(step.addr); got != step.want {
			t.Errorf("%q has %d turns, want %d", step.addr, got, step.want)
		}
	}
	now = now.Add(5 * time.Second)
	if got := turns("192.0.2.1:1"); got != 2 {
		t.Errorf("after 5 s: %d turns, want 2", got)
	}
	now = now.Add(time.Hour)
	if got := turns("192.0.2.1:1"); got != 10 {
		t.Errorf("after an hour: %d turns, want 10", got)
	}
}

func TestHostLimitIsBounded(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	l := keys.HostLimit{Burst: 10, Every: 2 * time.Second}
	for i := range 10_000 {
		if !l.Allow(fmt.Sprintf("10.0.%d.%d:1", i/256, i%256), now) {
			t.Fatalf("host %d has no turn", i)
		}
	}
	if l.Known() != 4096 {
		t.Errorf("%d hosts are remembered", l.Known())
	}
	for range 10 {
		l.Allow("192.0.2.1:1", now)
	}
	now = now.Add(3 * time.Second) // the others have all turns back, it has not
	l.Allow("192.0.2.2:1", now)
	if l.Known() > 3 {
		t.Errorf("%d hosts are remembered after they were idle", l.Known())
	}
	n := 0
	for l.Allow("192.0.2.1:1", now) {
		n++
	}
	if n > 2 {
		t.Errorf("the host that used its turns up was forgotten: it has %d", n)
	}
}
