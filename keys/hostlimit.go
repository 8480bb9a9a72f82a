package keys

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const hostsAtMost = 4096

// HostLimit bounds how often each remote host may do what asks for no
// credential that counts: Burst times at once, then once each Every. It
// remembers a bounded number of hosts.
type HostLimit struct {
	Burst int
	Every time.Duration

	mu    sync.Mutex
	hosts map[string]*rate.Limiter
	swept time.Time
}

// Allow takes one of the host's turns; false where it has none left at now.
func (l *HostLimit) Allow(remoteAddr string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turns(remoteAddr, now).AllowN(now, 1)
}

// left tells whether the host has a turn at now, and leaves it the turn.
func (l *HostLimit) left(remoteAddr string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	turns, known := l.hosts[hostOf(remoteAddr)]
	return !known || turns.TokensAt(now) >= 1
}

// charge takes a turn of the host whether it has one or not.
func (l *HostLimit) charge(remoteAddr string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns(remoteAddr, now).ReserveN(now, 1)
}

// turns are the host's. Called under mu.
func (l *HostLimit) turns(remoteAddr string, now time.Time) *rate.Limiter {
	host := hostOf(remoteAddr)
	turns, known := l.hosts[host]
	if !known {
		l.makeRoom(now)
		turns = rate.NewLimiter(rate.Every(l.Every), l.Burst)
		l.hosts[host] = turns
	}
	return turns
}

// makeRoom forgets hosts that have all their turns back, which it looks for once
// in a while, and where that is not enough, some other one.
func (l *HostLimit) makeRoom(now time.Time) {
	if l.hosts == nil {
		l.hosts = map[string]*rate.Limiter{}
	}
	if len(l.hosts) < hostsAtMost {
		return
	}
	if now.Sub(l.swept) >= l.Every {
		l.swept = now
		maps.DeleteFunc(l.hosts, func(_ string, turns *rate.Limiter) bool { return turns.TokensAt(now) >= float64(l.Burst) })
	}
	for host := range l.hosts {
		if len(l.hosts) < hostsAtMost {
			return
		}
		delete(l.hosts, host)
	}
}

// hostOf is an IPv4 address, or the /64 of an IPv6 one, all of which one
// subscriber has (RFC 6177, section 2).
func hostOf(remoteAddr string) string {
	host, _, err := net.SplitHostPort(remoteAddr)
	if err != nil {
		host = remoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}
