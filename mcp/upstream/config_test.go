package upstream_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func TestNew(t *testing.T) {
	secret := func(pairs ...string) map[string]keys.Secret {
		m := map[string]keys.Secret{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = keys.Secret(pairs[i+1])
		}
		return m
	}
	tests := []struct {
		name, fault string
		cfg         upstream.Config
	}{
		{"stdio", "", upstream.Config{Name: "n", Transport: keys.TransportStdio, Command: "x"}},
		{"http", "", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "https://example.com/mcp", Headers: secret("Authorization", "Bearer x")}},
		{"sse", "", upstream.Config{Name: "n", Transport: keys.TransportSSE, URL: "http://example.com/sse"}},
		{"embedded", "", upstream.Config{Name: "n", Transport: keys.TransportEmbedded, Handler: http.NotFoundHandler()}},
		{"no handler", "handler is missing", upstream.Config{Name: "n", Transport: keys.TransportEmbedded}},
		{"zero", "name is missing", upstream.Config{}},
		{"no transport", "transport", upstream.Config{Name: "n", Command: "x"}},
		{"unknown transport", "transport", upstream.Config{Name: "n", Transport: "carrier-pigeon", Command: "x"}},
		{"no command", "command is missing", upstream.Config{Name: "n", Transport: keys.TransportStdio}},
		{"NUL", "NUL", upstream.Config{Name: "n", Transport: keys.TransportStdio, Command: "x", Args: []string{"a\x00b"}}},
		{"env name", `env "A=B"`, upstream.Config{Name: "n", Transport: keys.TransportStdio, Command: "x", Env: secret("A=B", "canary")}},
		{"env value", `env "A"`, upstream.Config{Name: "n", Transport: keys.TransportStdio, Command: "x", Env: secret("A", "canary\x00")}},
		{"no url", "url", upstream.Config{Name: "n", Transport: keys.TransportHTTP}},
		{"relative url", "url", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "/mcp"}},
		{"file url", "url", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "file:///etc/passwd"}},
		{"bad url", "url", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "http://canary:canary@%zz"}},
		{"header name", `header "a b"`, upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "http://x", Headers: secret("a b", "canary")}},
		{"header value", "header X", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "http://x", Headers: secret("X", "canary\r\nY: z")}},
		{"own header", "header Mcp-Session-Id", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "http://x", Headers: secret("Mcp-Session-Id", "canary")}},
		{"hop header", "header Transfer-Encoding", upstream.Config{Name: "n", Transport: keys.TransportHTTP, URL: "http://x", Headers: secret("Transfer-Encoding", "canary")}},
	}
	for _, tt := range tests {
		_, err := upstream.New(tt.cfg)
		switch {
		case tt.fault == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "canary")):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.fault)
		}
	}
}

func TestPrivateAddresses(t *testing.T) {
	s := newWeb(t, modernWeb(named("a")))
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.255.255.1", "169.254.169.254", "100.64.0.1"} {
		for _, transport := range []keys.Transport{keys.TransportHTTP, keys.TransportSSE} {
			cfg := upstream.Config{Transport: transport, URL: "http://" + host + port + "/mcp"}
			if st := run(t, cfg).down(); !strings.Contains(st.Problem, "loopback, link-local and private addresses are not allowed") {
				t.Errorf("%s: %+v", host, st)
			}
		}
	}
	if len(s.seen) != 0 || s.conns != 0 {
		t.Errorf("%d connections, %d requests", s.conns, len(s.seen))
	}
}

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true, "192.88.99.1": true,
		"127.0.0.1": false, "127.255.0.1": false, "::1": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"172.32.0.1": true, "192.168.1.1": false, "169.254.1.1": false, "fe80::1": false, "fe80::1%eth0": false, "0.0.0.0": false,
		"0.1.2.3": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "240.0.0.1": false,
		"100.64.0.1": false, "100.127.255.255": false, "100.128.0.1": true, "fc00::1": false, "fd12::1": false,
		"::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "::10.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false,
		"198.18.0.1": false, "192.0.2.1": false, "2001:db8::1": false, "fec0::1": false,
		"::ffff:100.64.0.1": false, "2001:db8::1%eth0": false,
	} {
		if got := upstream.Public(address); got != want {
			t.Errorf("%s: public %v, want %v", address, got, want)
		}
	}
}
