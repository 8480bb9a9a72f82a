package rest

import (
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	hostBurst   = 10
	hostEvery   = 2 * time.Second // 30 a minute
	hostsAtMost = 4096
)

// hostLimit bounds how often each remote host may do what asks for no
// credential. It remembers a bounded number of hosts.
type hostLimit struct {
	mu    sync.Mutex
	hosts map[string]*rate.Limiter
	swept time.Time
}

// allow takes one of the host's turns; false where it has none left at now.
func (l *hostLimit) allow(remoteAddr string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	host := hostOf(remoteAddr)
	turns, known := l.hosts[host]
	if !known {
		l.makeRoom(now)
		turns = rate.NewLimiter(rate.Every(hostEvery), hostBurst)
		l.hosts[host] = turns
	}
	return turns.AllowN(now, 1)
}

// makeRoom forgets hosts that have all their turns back, which it looks for once
// in a while, and where that is not enough, some other one.
func (l *hostLimit) makeRoom(now time.Time) {
	if l.hosts == nil {
		l.hosts = map[string]*rate.Limiter{}
	}
	if len(l.hosts) < hostsAtMost {
		return
	}
	if now.Sub(l.swept) >= hostEvery {
		l.swept = now
		maps.DeleteFunc(l.hosts, func(_ string, turns *rate.Limiter) bool { return turns.TokensAt(now) >= hostBurst })
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
