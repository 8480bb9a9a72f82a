package upstream_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// TestProblemWithoutAddresses: where private addresses are not allowed, the
// problem tells neither what a name resolves to, nor whether it does, nor the
// addresses of a connection that broke.
func TestProblemWithoutAddresses(t *testing.T) {
	problems := map[string]string{}
	for _, host := range []string{"127.0.0.1:9", "localhost:9", "no..such..name:9", "10.0.0.1:9"} {
		cfg := remote(keys.TransportHTTP, "http://"+host+"/mcp")
		cfg.AllowPrivate = false
		problems[host] = run(t, cfg).down().Problem
		if strings.Contains(problems[host], "127.") || strings.Contains(problems[host], "::1") ||
			problems[host] != problems["127.0.0.1:9"] {
			t.Errorf("%s: %s", host, problems[host])
		}
	}
	broken := fmt.Errorf("tools/list: %w", &net.OpError{Op: "read", Net: "tcp",
		Source: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 5}, Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443},
		Err: syscall.ECONNRESET})
	for allowed, want := range map[bool]string{false: "tools/list: read: connection reset by peer", true: broken.Error()} {
		cfg := remote(keys.TransportHTTP, "http://example.com/mcp")
		cfg.Name = "web"
		cfg.AllowPrivate = allowed
		u, err := upstream.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := upstream.Problem(u, broken); got != want {
			t.Errorf("private allowed: %v: %s, want %s", allowed, got, want)
		}
	}
}

// TestDownIsWarnedOf: who logs nothing below warnings still hears of it.
func TestDownIsWarnedOf(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	cfg := upstream.Config{Name: "gone", Log: zap.New(core), Transport: keys.TransportStdio, Command: "no-such-command-anywhere"}
	gone := run(t, cfg)
	gone.down()
	gone.stop() // the log comes behind the status
	m := logs.FilterMessage("upstream is down").All()
	if len(m) == 0 || !strings.Contains(fmt.Sprint(m[0].ContextMap()["problem"]), "no-such-command-anywhere") {
		t.Errorf("%v", logs.All())
	}
}

// TestTimeoutsInWords: the time limits of the dialer and of TLS are shorter
// than that of the attempt.
func TestTimeoutsInWords(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}, Err: os.ErrDeadlineExceeded},
			"connecting to 192.0.2.1:443 took too long"},
		{os.ErrDeadlineExceeded, "it took too long to answer"},
		{syscall.ECONNREFUSED, "connection refused"},
	} {
		got := upstream.Broken(tt.err)
		if got.Error() != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("%s: %s, want %s", tt.err, got, tt.want)
		}
	}
}
