package upstream_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// genuineUpstreams are the same server over each transport and era.
var genuineUpstreams = []struct {
	name, protocol string
	config         func(t *testing.T) upstream.Config
}{
	{"stdio modern", "2026-07-28", func(t *testing.T) upstream.Config { return stdio(t, "genuine") }},
	{"http modern", "2026-07-28", func(t *testing.T) upstream.Config {
		return remote(keys.TransportHTTP, serveHTTP(t, genuine()))
	}},
	{"embedded", "2026-07-28", func(*testing.T) upstream.Config { return inside(genuine()) }},
	{"http legacy", "2025-11-25", func(t *testing.T) upstream.Config {
		return remote(keys.TransportHTTP, serveHTTP(t, genuine(), mcpserver.WithStreamableHTTPProtocolVersions("2025-11-25")))
	}},
	{"http stateless legacy", "2025-11-25", func(t *testing.T) upstream.Config {
		return remote(keys.TransportHTTP, serveHTTP(t, genuine(), mcpserver.WithStateLess(true),
			mcpserver.WithStreamableHTTPProtocolVersions("2025-11-25")))
	}},
	{"sse", "2025-11-25", func(t *testing.T) upstream.Config { return remote(keys.TransportSSE, serveSSE(t, genuine())) }},
}

func serveHTTP(t *testing.T, s *mcpserver.MCPServer, opts ...mcpserver.StreamableHTTPOption) string {
	t.Helper()
	srv := httptest.NewServer(mcpserver.NewStreamableHTTPServer(s, opts...))
	t.Cleanup(srv.Close)
	return srv.URL + "/mcp"
}

func serveSSE(t *testing.T, s *mcpserver.MCPServer) string {
	t.Helper()
	srv := httptest.NewServer(mcpserver.NewSSEServer(s, mcpserver.WithUseFullURLForMessageEndpoint(false)))
	t.Cleanup(srv.Close)
	return srv.URL + "/sse"
}

func TestCallEveryTransport(t *testing.T) {
	for _, tt := range genuineUpstreams {
		t.Run(tt.name, func(t *testing.T) {
			m := run(t, tt.config(t)).ready()
			if st := m.Status(); st.Protocol != tt.protocol || st.Server != "genuine/1.2.3" || st.Problem != "" {
				t.Errorf("status %+v", st)
			}
			got := m.call("echo", `{"text":"a\nb"}`)
			want := `"text":"{\"text\":\"a\\nb\"}"`
			if !strings.Contains(got, want) {
				t.Errorf("echo: %s", got)
			}
			for _, own := range []string{"resultType", "serverInfo"} {
				if strings.Contains(got, own) {
					t.Errorf("the result still has %s: %s", own, got)
				}
			}
		})
	}
}
