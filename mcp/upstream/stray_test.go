package upstream_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const stray = "; its standard output has lines that are not JSON-RPC, the first: "

func TestStrayLinesAreNamed(t *testing.T) {
	pem := "-----BEGIN-----\ncanary-first\ncanary-second\n"
	for name, tt := range map[string]struct{ server, problem string }{
		"instead of answers":  {"html", "no answer to initialize in time" + stray + "<html>1</html>"},
		"instead of a list":   {"halfway", "no answer to tools/list in time" + stray + "<html>1</html>"},
		"without end":         {"babble", "initialize: upstream answered garbage: 1001 lines in a row" + stray + "<html>this is not the server you are looking for</html>"},
		"before the end":      {"usage", "initialize: its process ended: exit status 2" + stray + "usage: server [flags]"},
		"with credentials":    {"leak", "no answer to initialize in time" + stray + "[redacted] [redacted] [redacted]"},
		"cut in a credential": {"edge", "no answer to initialize in time" + stray + strings.Repeat("x", 110) + "[redacted]"},
		"answered since":      {"sulking", "no answer to tools/list in time"},
		"long and coloured":   {"garish", "no answer to initialize in time" + stray + "[31m" + strings.Repeat("é", 115) + "…"},
		"none":                {"mute", "no answer to initialize in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := stdio(t, tt.server, "API_TOKEN", "canary-of-12-chars", "PEM", pem, "PADDED", "canary-padded\n")
			cfg.ConnectTimeout = time.Second
			m := run(t, cfg)
			m.until("the problem", func() bool { return strings.Contains(m.last().Problem, tt.problem) })
			problem := m.Status().Problem
			if problem != tt.problem {
				t.Errorf("problem  %s\nwant     %s", problem, tt.problem)
			}
			inWords(t, problem)
		})
	}
}

// A server that chatters and answers is as good as any.
func TestStrayLinesBeforeAnAnswer(t *testing.T) {
	m := run(t, stdio(t, "chatty")).ready()
	if st := m.Status(); st.Problem != "" {
		t.Errorf("status %+v", st)
	}
	m.call("odd", `{}`)
}

func init() {
	for name, serve := range map[string]func(){
		"html": func() { html(0) },
		// It answers initialize, and then as html does.
		"halfway": func() { html(2) },
		"usage": func() {
			fmt.Println("usage: server [flags]")
			os.Exit(2)
		},
		"leak": func() {
			fmt.Println(os.Getenv("API_TOKEN"), strings.Split(os.Getenv("PEM"), "\n")[1], strings.TrimSpace(os.Getenv("PADDED")))
			html(0)
		},
		"edge": func() {
			fmt.Println(strings.Repeat("x", 110) + os.Getenv("API_TOKEN"))
			html(0)
		},
		// It greets, answers initialize, and then nothing.
		"sulking": func() {
			fmt.Println("hello")
			script(func(m message, out func(string, ...any)) {
				if m.Method != "tools/list" {
					legacy("2025-11-25", nil, nil)(m, out)
				}
			})
		},
		"garish": func() {
			fmt.Println("\x1b[31m" + strings.Repeat("é", 500))
			html(0)
		},
		"chatty": func() {
			script(func(m message, out func(string, ...any)) {
				for i := range 50 {
					out("%d: got %s\n\x1b[0m{}", i, m.Method)
				}
				legacy("2025-11-25", []string{"odd"}, misbehave)(m, out)
			})
		},
	} {
		stdioServers[name] = serve
	}
}

// html answers each request with a line of HTML, the first good ones properly.
func html(good int) {
	n := 0
	script(func(m message, out func(string, ...any)) {
		if m.ID == nil {
			return
		}
		if n++; n <= good {
			legacy("2025-11-25", nil, nil)(m, out)
			return
		}
		out("<html>%d</html>", n-good)
	})
}
