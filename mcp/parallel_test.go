package mcp_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestParallelProgress: of two calls of one session that run at the same time,
// each gets its own progress on its own answer's stream, also under one token.
func TestParallelProgress(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	k := w.key()
	for name, tokens := range map[string][2]string{
		"two tokens": {`"one"`, `2`},
		"one token":  {`"same"`, `"same"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.connect(k, "/mcp")
			own := w.stream(http.MethodGet, "/mcp", "", c.headers...)
			steps := [2]*meeting{newMeeting(2), newMeeting(2)}
			up.on("t", func(call fakeCall) string {
				for _, step := range steps {
					if !step.wait() {
						return answersError + `{"code":1,"message":"the calls did not run at once"}`
					}
					call.progress(`"progress":` + string(call.Arguments[len(`{"n":`):len(call.Arguments)-1]))
				}
				return `{"content":[],"structuredContent":` + string(call.Arguments) + `}`
			})
			var got [2]answer
			var wg sync.WaitGroup
			for i, token := range tokens {
				n := string(rune('1' + i))
				wg.Go(func() {
					got[i] = c.send(`{"jsonrpc":"2.0","id":` + n + `,"method":"tools/call","params":{"name":"a1__t","arguments":{"n":` + n +
						`},"_meta":{"progressToken":` + token + `}}}`)
				})
			}
			wg.Wait()
			for i, token := range tokens {
				n := string(rune('1' + i))
				progress := `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + token + `,"progress":` + n + `}}`
				want := []string{progress, progress, `{"jsonrpc":"2.0","id":` + n + `,"result":{"content":[],"structuredContent":{"n":` + n + `}}}`}
				if events := dataOf(got[i].body); !slices.Equal(events, want) {
					t.Errorf("call %s got\n%s\nwant\n%s", n, strings.Join(events, "\n"), strings.Join(want, "\n"))
				}
			}
			own.quiet("progress on the session's own stream")
		})
	}
}

// dataOf lists the data of a whole stream's events.
func dataOf(body string) (out []string) {
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			out = append(out, strings.TrimSpace(data))
		}
	}
	return out
}

// meeting lets nobody on before all are there.
type meeting struct {
	mu      sync.Mutex
	missing int
	all     chan struct{}
}

func newMeeting(of int) *meeting { return &meeting{missing: of, all: make(chan struct{})} }

// wait is false when the others never came.
func (m *meeting) wait() bool {
	m.mu.Lock()
	if m.missing--; m.missing == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
		return true
	case <-time.After(time.Minute): // only a limit
		return false
	}
}
