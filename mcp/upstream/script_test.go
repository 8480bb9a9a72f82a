package upstream_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// message is what a scripted server reads.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// tool is the tool that a tools/call names.
func (m message) tool() string {
	var p struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(m.Params, &p)
	return p.Name
}

// script reads messages until its input ends; answer gets each one, with out to
// write lines.
func script(answer func(m message, out func(format string, args ...any))) {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			note("input closed")
			return
		}
		var m message
		if json.Unmarshal(line, &m) != nil {
			note("not JSON: " + string(line))
			continue
		}
		answer(m, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	}
}

const (
	plainSchema = `"inputSchema":{"type":"object"}`
	oddResult   = `{"content":[{"type":"hologram","depth":9007199254740993,"x":1.50,"deep":[{"ab":1e400}]},` +
		`{"type":"text","text":"</b> é é"}], "structuredContent":{"n":12345678901234567890},"_meta":{"k":null}}`
)

// legacy answers as a server before 2026-07-28 does.
func legacy(version string, tools []string, call func(m message, out func(string, ...any))) func(message, func(string, ...any)) {
	return func(m message, out func(string, ...any)) {
		switch m.Method {
		case "initialize":
			out(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":%q,"capabilities":{"tools":{}},"serverInfo":{"name":"script","version":"0"}}}`, m.ID, version)
		case "tools/list":
			var list []string
			for _, name := range tools {
				list = append(list, `{"name":"`+name+`",`+plainSchema+`}`)
			}
			out(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[%s]}}`, m.ID, strings.Join(list, ","))
		case "tools/call", "":
			call(m, out)
		case "notifications/cancelled":
			note(m.Method + " " + string(m.Params))
		case "notifications/initialized":
		default:
			out(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, m.ID)
		}
	}
}

// misbehave is the tools/call of a server that does what the tool's name says.
func misbehave(m message, out func(string, ...any)) {
	if m.Method == "" { // an answer to our own request
		note(fmt.Sprintf("answered %s %s%s", m.ID, m.Result, m.Error))
		return
	}
	result := func(s string) { out(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, s) }
	const empty = `{"content":[]}`
	switch tool := m.tool(); tool {
	case "odd":
		result(oddResult)
	case "params":
		b, _ := json.Marshal(string(m.Params))
		result(`{"content":[{"type":"text","text":` + string(b) + `}]}`)
	case "crash":
		os.Exit(7)
	case "silent":
		note("silent " + string(m.ID))
	case "cut":
		out(`{"jsonrpc":"2.0","id":%s,"result":{"content":[`, m.ID)
	case "both":
		out(`{"jsonrpc":"2.0","id":%s,"result":{},"error":{"code":1,"message":"x"}}`, m.ID)
	case "neither":
		out(`{"jsonrpc":"2.0","id":%s}`, m.ID)
	case "twice":
		out(`{"jsonrpc":"2.0","id":%s,"result":{"a":1},"result":{"a":2}}`, m.ID)
	case "null":
		result(`null`)
	case "array":
		result(`[]`)
	case "odderror":
		out(`{"jsonrpc":"2.0","id":%s,"error":{"code":"x"}}`, m.ID)
	case "error":
		out(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32050,"message":"no","data":{"n":9007199254740993}}}`, m.ID)
	case "notices":
		var p struct {
			Meta struct {
				Token json.RawMessage `json:"progressToken"`
			} `json:"_meta"`
		}
		_ = json.Unmarshal(m.Params, &p)
		out(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":999999,"progress":7}}`)
		for i := range 50 {
			out(`{"jsonrpc":"2.0","method":"notifications/progress","params":{ "progressToken":%s, "progress":%d }}`, p.Meta.Token, i)
		}
		result(empty)
	case "unasked":
		out(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":7}}`, m.ID)
		result(empty)
	case "ping", "sampling/createMessage":
		out(`{"jsonrpc":"2.0","id":"q","method":%q}`, tool)
		result(empty)
	case "chatter":
		out("hello there\n{'level':'info'}\n{\"id\":%s,\"level\":\"info\"}\n\n[1]", m.ID)
		result(empty)
	case "stderr":
		fmt.Fprintln(os.Stderr, "the token is", os.Getenv("API_TOKEN"), strings.Repeat("x", 100_000))
		result(empty)
	case "huge":
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"x":"%s"}}`+"\n", m.ID, strings.Repeat("x", 17<<20))
	case "descendant":
		c := exec.Command("sleep", "1000")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		_ = c.Start()
		result(fmt.Sprintf(`{"pid":%d}`, c.Process.Pid))
	default:
		result(empty)
	}
}

func init() {
	all := []string{"odd", "crash", "silent"}
	for name, serve := range map[string]func(){
		"misbehave": func() { script(legacy("2025-11-25", all, misbehave)) },
		"old":       func() { script(legacy("2024-11-05", all, misbehave)) },
		"unknown":   func() { script(legacy("1999-01-01", all, misbehave)) },
		"mute":      func() { script(func(message, func(string, ...any)) {}) },
		"exit":      func() { os.Exit(3) },
		// As some SDKs do, it ends at a first message that is not initialize.
		"strict": func() {
			first := true
			script(func(m message, out func(string, ...any)) {
				if first && m.Method != "initialize" {
					note("strict exit")
					os.Exit(1)
				}
				first = false
				legacy("2025-06-18", all, misbehave)(m, out)
			})
		},
		// It ignores what it does not know.
		"ignorant": func() {
			script(func(m message, out func(string, ...any)) {
				if m.Method == "server/discover" {
					note("discover ignored")
					return
				}
				legacy("2025-03-26", all, misbehave)(m, out)
			})
		},
		"babble": func() {
			for {
				if _, err := fmt.Println("<html>this is not the server you are looking for</html>"); err != nil {
					return
				}
			}
		},
		// It neither minds its input's end nor SIGTERM.
		"deaf": func() {
			signal.Ignore(syscall.SIGTERM)
			note(fmt.Sprint("pid ", os.Getpid()))
			script(legacy("2025-11-25", all, misbehave))
			note("deaf")
			time.Sleep(time.Hour)
		},
		// It answers, and then reads nothing more.
		"stuffed": func() {
			script(func(m message, out func(string, ...any)) {
				legacy("2025-11-25", all, misbehave)(m, out)
				if m.Method == "tools/list" {
					time.Sleep(time.Hour)
				}
			})
		},
		"lists": func() { script(lists) },
		// It is a process like ours, with a deaf child.
		"parent": func() {
			self, _ := os.Executable()
			u, err := upstream.New(upstream.Config{Name: "child", Transport: keys.TransportStdio, Command: self,
				Env: map[string]keys.Secret{"UPSTREAM_TEST_SERVER": "deaf", "UPSTREAM_TEST_NOTES": keys.Secret(os.Getenv("UPSTREAM_TEST_NOTES"))}})
			if err == nil {
				_ = u.Run(context.Background())
			}
		},
	} {
		stdioServers[name] = serve
	}
}

// lists serves the pages that the environment says, and the next set of pages
// after each call.
var listRound = 0

func lists(m message, out func(string, ...any)) {
	if m.Method != "tools/list" {
		legacy("2025-11-25", nil, func(m message, out func(string, ...any)) {
			listRound++
			out(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			misbehave(m, out)
		})(m, out)
		return
	}
	var rounds [][]string // results by page; the cursor is the page's number
	_ = json.Unmarshal([]byte(os.Getenv("ROUNDS")), &rounds)
	var p struct {
		Cursor string `json:"cursor"`
	}
	_ = json.Unmarshal(m.Params, &p)
	page := 0
	_, _ = fmt.Sscanf(p.Cursor, "page%d", &page)
	result := rounds[min(listRound, len(rounds)-1)][page]
	if strings.Contains(result, `"once"`) {
		listRound++
	}
	out(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
}
