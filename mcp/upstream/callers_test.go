package upstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

const (
	whose  = "nothing says to which this request belongs"
	mute   = "can't be asked"
	noTask = "no call runs that waits for the related task"
)

// A question on the stream of a call belongs to it. On a stream that calls share,
// it belongs to a call only when it can be nobody else's.
func TestWhomAQuestionIsFor(t *testing.T) {
	anna, mutely := upstream.Call{Owner: "anna", Ask: answers("anna")}, upstream.Call{Owner: "anna"}
	anna2 := upstream.Call{Owner: "anna", Ask: answers("anna's other call")}
	bert, mutelyBert := upstream.Call{Owner: "bert", Ask: answers("bert")}, upstream.Call{Owner: "bert"}
	nobody, nobody2 := upstream.Call{Ask: answers("nobody")}, upstream.Call{Ask: answers("nobody else")}
	for _, tt := range []struct {
		name        string
		call        upstream.Call
		beside      []upstream.Call // that run
		own, shared string
	}{
		{"alone", anna, nil, `{"by":"anna"}`, `{"by":"anna"}`},
		{"alone and mute", mutely, nil, mute, mute},
		{"alone and nobody's", nobody, nil, `{"by":"nobody"}`, whose},
		{"beside another of the owner", anna, []upstream.Call{anna2, mutely}, `{"by":"anna"}`, `{"by":"anna"}`},
		{"mute beside another of the owner", mutely, []upstream.Call{anna2}, mute, `{"by":"anna's other call"}`},
		{"beside another owner's", anna, []upstream.Call{anna2, bert}, `{"by":"anna"}`, whose},
		{"beside another owner's mute one", anna, []upstream.Call{mutelyBert}, `{"by":"anna"}`, whose},
		{"mute beside another owner's", mutely, []upstream.Call{bert}, mute, whose},
		{"beside nobody's", anna, []upstream.Call{nobody}, `{"by":"anna"}`, whose},
		{"nobody's beside nobody's", nobody, []upstream.Call{nobody2}, `{"by":"nobody"}`, whose},
	} {
		for _, on := range askers {
			t.Run(tt.name+"/"+on.name, func(t *testing.T) {
				t.Parallel()
				m := runAsker(t, on.config(t))
				var wg sync.WaitGroup
				defer wg.Wait()
				for _, c := range tt.beside {
					m.hold(&wg, c)
				}
				want := tt.shared
				if on.own {
					want = tt.own
				}
				if got := m.ask(tt.call, elicit("1"))[0].String(); !strings.Contains(got, want) {
					t.Errorf("the upstream got %s, want %s", got, want)
				}
				m.call("release", `{}`)
			})
		}
	}
}

// hold has a call run until release is called.
func (m *mounted) hold(wg *sync.WaitGroup, c upstream.Call) {
	m.t.Helper()
	if c.Method == "" {
		c.Tool = "hold"
	}
	before := m.Running()
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := m.Call(ctx, c); err != nil {
			m.t.Errorf("hold: %v", err)
		}
	})
	for m.Running() == before {
		<-m.wakeSoon()
	}
}

// A call that was given up may still be what the upstream asks about, until its
// answer comes all the same.
func TestQuestionsAfterACancelledCall(t *testing.T) {
	for _, on := range askers {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := runAsker(t, on.config(t))
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = m.Call(ctx, upstream.Call{Tool: "hold", Owner: "bert", Ask: answers("bert")})
			}()
			for m.Running() == 0 {
				<-m.wakeSoon()
			}
			m.call("other", `{}`) // so that the first one has arrived where order is kept
			cancel()
			<-done
			anna := upstream.Call{Owner: "anna", Ask: answers("anna")}
			want := whose
			if on.own {
				want = `{"by":"anna"}`
			}
			if got := m.ask(anna, elicit("1"))[0].String(); !strings.Contains(got, want) {
				t.Errorf("the upstream got %s, want %s", got, want)
			}
			if bert := (upstream.Call{Owner: "bert", Ask: answers("bert")}); !strings.Contains(m.ask(bert, elicit("2"))[0].String(), `{"by":"bert"}`) && on.name != "http, the session's stream" {
				t.Error("his own question did not reach bert")
			}
			if on.name == "stdio" || on.name == "sse" {
				m.call("release", `{}`) // which answers the first call
				if got := m.ask(anna, elicit("3"))[0].String(); got != `{"by":"anna"}` {
					t.Errorf("after the late answer, the upstream got %s", got)
				}
			}
		})
	}
}

// A question of a task is for the call that waits for the task.
func TestQuestionsOfTasks(t *testing.T) {
	m := runAsker(t, stdio(t, "asker"))
	var wg sync.WaitGroup
	wait := func(owner, task string) {
		m.hold(&wg, upstream.Call{Method: "tasks/result", Params: raw(`{"taskId":"` + task + `"}`), Owner: owner, Ask: answers(owner)})
	}
	related := func(id, task string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"elicitation/create","params":{"message":"which?","_meta":{"io.modelcontextprotocol/related-task":{"taskId":` + task + `}}}}`
	}
	anna := upstream.Call{Owner: "anna", Ask: answers("anna"), Params: raw(`{"taskId":"t1"}`)}
	for _, task := range []string{`"t1"`, `""`, `7`, `null`} { // naming it in a call of a tool is not waiting for it
		if got := m.ask(anna, related("1", task))[0].String(); !strings.Contains(got, noTask) {
			t.Errorf("task %s: the upstream got %s", task, got)
		}
	}
	wait("bert", "t2")
	wait("anna", "t1")
	for task, want := range map[string]string{"t1": `{"by":"anna"}`, "t2": `{"by":"bert"}`, "t3": noTask} {
		if got := m.ask(anna, related("1", `"`+task+`"`))[0].String(); !strings.Contains(got, want) {
			t.Errorf("task %s: the upstream got %s, want %s", task, got, want)
		}
	}
	wait("bert", "t1") // the gateway lets nobody name another's task, and if it did
	if got := m.ask(anna, related("1", `"t1"`))[0].String(); !strings.Contains(got, whose) {
		t.Errorf("a task that two wait for: the upstream got %s", got)
	}
	m.call("release", `{}`)
	wg.Wait()
}

// Whatever runs and ends at the same time, no question reaches another owner's
// call, and none that came on its call's own stream is lost.
func TestQuestionsNeverReachAnotherOwner(t *testing.T) {
	const owners, calls = 6, 25
	for _, on := range askers {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := runAsker(t, on.config(t))
			var reached atomic.Int32
			var alone sync.RWMutex // some calls run alone, which is when a shared stream asks
			var wg sync.WaitGroup
			for o := range owners {
				owner := fmt.Sprint("owner", o)
				wg.Go(func() {
					for n := range calls {
						c := upstream.Call{Tool: "ask", Owner: owner}
						c.Arguments = raw(fmt.Sprintf(`{"lines":[{"jsonrpc":"2.0","id":"%s-%d","method":"sampling/createMessage","params":{"for":"%s"}}]}`, owner, n, owner))
						if (o+n)%3 != 0 {
							c.Ask = func(_ context.Context, _ string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
								reached.Add(1)
								if want := `{"for":"` + owner + `"}`; string(params) != want {
									t.Errorf("%s was asked %s", owner, params)
								}
								return raw(`{}`), nil
							}
						}
						lock, unlock := alone.RLock, alone.RUnlock
						if n%4 == 0 {
							lock, unlock = alone.Lock, alone.Unlock
						}
						lock()
						ctx, cancel := context.WithTimeout(context.Background(), patience)
						if n > calls/2 && n%5 == 0 {
							go cancel()
						}
						if _, err := m.Call(ctx, c); err != nil && ctx.Err() == nil {
							t.Errorf("%s: %v", owner, err)
						}
						cancel()
						unlock()
					}
				})
			}
			wg.Wait()
			// Where answers may overtake questions, another owner is waited for first.
			if reached.Load() == 0 && on.name != "http, the session's stream" {
				t.Error("nobody was asked")
			}
		})
	}
}

// What is logged on a shared stream reaches a call under the same rule.
func TestWhomALogMessageIsFor(t *testing.T) {
	const line = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"secret"}}`
	for _, on := range askers {
		for name, beside := range map[string]string{"alone": "", "beside its owner's": "anna", "beside another's": "bert"} {
			t.Run(on.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				m := runAsker(t, on.config(t))
				var wg sync.WaitGroup
				defer wg.Wait()
				if beside != "" {
					m.hold(&wg, upstream.Call{Owner: beside, Log: func(p json.RawMessage) {
						t.Errorf("the other call got %s", p)
					}})
				}
				var got []string
				m.askFor(1, upstream.Call{Owner: "anna", Ask: answers("anna"), Log: func(p json.RawMessage) { got = append(got, string(p)) }},
					line, elicit("1"))
				want := 1
				if beside == "bert" && !on.own {
					want = 0
				}
				if len(got) != want {
					t.Errorf("%d messages: %s", len(got), got)
				}
				m.call("release", `{}`)
			})
		}
	}
}

// Where answers may overtake what was said before them, the owner of a call that
// was just answered counts as well.
func TestQuestionsAfterAnsweredCalls(t *testing.T) {
	for _, on := range askers {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := runAsker(t, on.config(t))
			anna := upstream.Call{Owner: "anna", Ask: answers("anna")}
			call := func(owner string) {
				if _, err := m.Call(context.Background(), upstream.Call{Tool: "other", Owner: owner}); err != nil {
					t.Error(err)
				}
			}
			call("anna")
			if got := m.ask(anna, elicit("1"))[0].String(); got != `{"by":"anna"}` {
				t.Errorf("after her own call, the upstream got %s", got)
			}
			anew := upstream.Call{Owner: "anna in another session", Principal: "anna", Ask: answers("anew")}
			if got := m.ask(anew, elicit("1"))[0].String(); got != `{"by":"anew"}` {
				t.Errorf("after a call of her other session, the upstream got %s", got)
			}
			call("bert")
			want := `{"by":"anna"}`
			if on.name == "http, the session's stream" {
				want = whose
			}
			if got := m.ask(anna, elicit("2"))[0].String(); !strings.Contains(got, want) {
				t.Errorf("after bert's call, the upstream got %s, want %s", got, want)
			}
		})
	}
}

// Of calls given up that are too many to remember, each may be another owner's.
func TestTooManyGivenUp(t *testing.T) {
	for n, want := range map[int]string{0: "anna", 1000: "anna", 1001: ""} {
		if got := upstream.OwnerAfter("anna", n); got != want {
			t.Errorf("after %d calls given up, all are %q, want %q", n, got, want)
		}
	}
}
