package bench_test

import (
	"fmt"
	"testing"
	"text/tabwriter"
)

// patterns are an allowlist of 20, of which the last lets the calls through.
func patterns() []string {
	out := []string{"old/e*o", "new/p*e"}
	for i := range 17 {
		out = append(out, fmt.Sprintf("server-%d/read_*_%d", i, i))
	}
	return append(out, "*__echo")
}

// TestCall compares tools/call on the bare upstream, behind a reverse proxy
// and behind the server, with its credential checked, a policy of 20 patterns
// decided and the call recorded.
func TestCall(t *testing.T) {
	upstream := ourselves(t, "be-upstream", "0")
	proxy := ourselves(t, "be-proxy", upstream.url)
	gateway := serve(t, map[string]any{"old": over(upstream.url + "/old"), "new": over(upstream.url + "/mcp")})
	token := gateway.key(t, append(patterns(), "page"))
	out := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "tools/call\tconns\tanswer\trequests/s\tp50 us\tp99 us\tCPU us gateway\twith upstream\tCPU / proxy\tadded p50 us\t/ proxy\t")
	for _, e := range []era{legacy, modern} {
		for _, tool := range []string{"echo", "page"} {
			for _, conns := range []int{1, 32} {
				t.Run(fmt.Sprintf("%s/%s/%d", e, tool, conns), func(t *testing.T) {
					bare := &lane{name: "bare", upstream: upstream}
					proxied := &lane{name: "ReverseProxy", gateway: proxy, upstream: upstream}
					ours := &lane{name: "bailiwick", gateway: gateway, upstream: upstream}
					m, slug := message{era: e, path: "/old", method: "tools/call", name: tool, args: `{"text":"hello"}`}, "old"
					if e == modern {
						m.path, slug = "/mcp", "new"
					}
					bare.dial(t, conns, upstream, m)
					proxied.dial(t, conns, proxy, m)
					m.path, m.token, m.name = "/mcp", token, slug+"__"+tool
					ours.dial(t, conns, gateway, m)
					race(t, bare, proxied, ours)
					for _, l := range []*lane{bare, proxied, ours} {
						printCall(out, e, tool, l, bare, proxied)
					}
				})
			}
		}
	}
	out.Flush()
}

func printCall(out *tabwriter.Writer, e era, tool string, l, bare, proxied *lane) {
	cpu, added, ratio := "", "", ""
	if l != bare {
		added = fmt.Sprintf("%.0f", microseconds(l.at(50)-bare.at(50)))
	}
	if l != bare && l != proxied {
		cpu = fmt.Sprintf("%.2f", l.each(l.own)/proxied.each(proxied.own))
		ratio = fmt.Sprintf("%.2f", microseconds(l.at(50)-bare.at(50))/microseconds(proxied.at(50)-bare.at(50)))
	}
	fmt.Fprintf(out, "%s, %s\t%d\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t\n", l.name, e, len(l.callers), tool,
		l.rate(), microseconds(l.at(50)), microseconds(l.at(99)), l.each(l.own), l.each(l.own+l.behind), cpu, added, ratio)
}
