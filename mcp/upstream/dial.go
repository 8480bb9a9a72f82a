package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream/http1"
)

// errPrivate is an address that this upstream may not be on.
var errPrivate = errors.New("loopback, link-local and private addresses are not allowed for this upstream")

// connections are the pools of one upstream: shared with nobody, so that no
// connection carries what another upstream's credentials opened. They use no
// proxy, because behind one the address could not be checked, and have no time
// limit on answers: streams and slow tools are normal, and every call has its own
// context.
type connections struct {
	*http.Transport
	plain *http1.Transport // for what it can send; nil = nothing
}

func (c connections) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.plain != nil && c.plain.Sends(req) {
		return c.plain.RoundTrip(req)
	}
	return c.Transport.RoundTrip(req)
}

func (c connections) CloseIdleConnections() {
	c.Transport.CloseIdleConnections()
	if c.plain != nil {
		c.plain.CloseIdleConnections()
	}
}

const (
	idleTimeout = 90 * time.Second
	maxHeader   = 64 << 10
)

func newConnections(cfg *Config) connections {
	c := connections{Transport: newTransport(cfg)}
	if http1.Supported && cfg.Transport != keys.TransportEmbedded { // a pipe has no buffer, which plain needs
		c.plain = &http1.Transport{Dial: c.DialContext, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader}
	}
	return c
}

func newTransport(cfg *Config) *http.Transport {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	dial := d.DialContext
	if !cfg.AllowPrivate {
		d.Control = func(_, address string, _ syscall.RawConn) error { return checkAddress(address) }
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, network, address)
			if err != nil {
				if cfg.Log != nil {
					cfg.Log.Debug("upstream can't be connected to", zap.String("upstream", cfg.Name), zap.Error(err))
				}
				return nil, &unreachableError{ctx.Err()}
			}
			return conn, nil
		}
	}
	return &http.Transport{
		DialContext:           dial,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
		// Compression costs more than it saves next door, and a small answer
		// could grow without bound.
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		// A stream over a dead HTTP/2 connection ends within a minute.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// unreachableError is a connection that could not be made. Its text is one for
// every cause: with a url of their choice, whoever may see the problem of an
// instance could read from the difference which names and addresses there are
// inside the network.
type unreachableError struct{ ended error } // the context's; nil = it goes on

func (e *unreachableError) Error() string {
	return "can't connect: the url's host must have a public address on which a server answers; " +
		"loopback, link-local and private addresses are not allowed for this upstream"
}

func (e *unreachableError) Unwrap() error { return e.ended }

// checkAddress refuses what is not a public address. It sees the address of
// each connection, after name resolution, so that a name cannot be pointed
// elsewhere between a check and the use.
func checkAddress(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !public(ap.Addr()) {
		return fmt.Errorf("%w: %s", errPrivate, address)
	}
	return nil
}

// special are the ranges of RFC 6890 and its successors that netip's own
// questions leave out, and those that lead to an IPv4 address.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"),        // IPv4-compatible
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4
	netip.MustParsePrefix("fec0::/10"), // site-local
}

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false // loopback, link-local, multicast and unspecified are no global unicast
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
