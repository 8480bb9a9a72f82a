package keys_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

var noteTool = &policy.Tool{ID: "notes/read", Name: "notes__read", Effect: policy.EffectRead, Category: "tools"}

func limitedTo(limits ...policy.RateLimit) keys.PolicyPatch {
	pp := wide()
	pp.MCPLimits = keys.Some(limits)
	return pp
}

func limitOf(tool string, n int64, per policy.Period) policy.RateLimit {
	return policy.RateLimit{Tool: tool, Requests: n, Per: per}
}

// counted tells how many of n calls are let through, and the last refusal.
func (h *house) counted(svc *keys.Service, p keys.Principal, t *policy.Tool, n int) (passed int, refused *keys.LimitError) {
	h.t.Helper()
	for range n {
		_, err := svc.CountCall(h.ctx, p, t)
		var full *keys.LimitError
		switch {
		case err == nil:
			passed++
		case errors.As(err, &full):
			refused = full
		default:
			h.t.Fatal(err)
		}
	}
	return passed, refused
}

// One process lets through exactly what a limit says, in each period of the clock.
func TestCallLimitsAreExact(t *testing.T) {
	for _, per := range []policy.Period{policy.PerSecond, policy.PerMinute, policy.PerHour, policy.PerDay} {
		for _, n := range []int64{1, 7, 100, 333} {
			t.Run(fmt.Sprintf("%d a %s", n, per), func(t *testing.T) {
				h := newHouse(t)
				p := h.as(keys.NewKey{Name: "k", PolicyPatch: limitedTo(limitOf("notes/*", n, per))})
				for range 2 {
					passed, refused := h.counted(h.svc, p, noteTool, int(n)+20)
					if passed != int(n) || refused == nil || refused.Limit.Requests != n || refused.Limit.Reset <= 0 {
						t.Errorf("%d passed, refused %+v", passed, refused)
					}
					h.clock.Advance(time.Duration(per.Seconds()) * time.Second)
				}
				if passed, _ := h.counted(h.svc, p, &policy.Tool{ID: "other/x", Name: "other__x"}, int(n)+20); passed != int(n)+20 {
					t.Errorf("%d calls of another tool passed", passed)
				}
			})
		}
	}
}

// Another process, and the same one started again, go on counting where it was.
func TestCallLimitsAreShared(t *testing.T) {
	h := newHouse(t)
	const most = 160
	issued := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: limitedTo(limitOf("*", most, policy.PerDay))})
	services := []*keys.Service{h.svc, h.service(), h.service()}
	var passed atomic.Int64
	var all sync.WaitGroup
	for _, svc := range services {
		p, err := svc.Authenticate(h.ctx, issued.Secret)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for range 2 * most {
				if _, err := svc.CountCall(h.ctx, p, noteTool); err == nil {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n > most || n < most-int64(len(services)-1)*most/16 {
		t.Errorf("%d of %d calls passed three processes: more than may, or fewer than the error that is stated", n, most)
	}
}

// A child's calls count against its parent's limits as well as its own.
func TestChildrenShareTheirParentsLimits(t *testing.T) {
	h := newHouse(t)
	parent := h.mint(h.op, keys.NewKey{Name: "parent", PolicyPatch: limitedTo(limitOf("*", 10, policy.PerHour))})
	one := h.as(keys.NewKey{Name: "one", ParentKeyID: parent.Key.ID, PolicyPatch: limitedTo(limitOf("*", 4, policy.PerHour))})
	two := h.as(keys.NewKey{Name: "two", ParentKeyID: parent.Key.ID, PolicyPatch: limitedTo(limitOf("*", 10, policy.PerHour))})
	if n, _ := h.counted(h.svc, one, noteTool, 20); n != 4 {
		t.Errorf("%d calls of one passed", n)
	}
	if n, refused := h.counted(h.svc, two, noteTool, 20); n != 6 || refused.Limit.Layer != 1 {
		t.Errorf("%d calls of two passed, refused by %+v", n, refused)
	}
	if n, _ := h.counted(h.svc, h.login(parent.Secret), noteTool, 20); n != 0 {
		t.Errorf("%d calls of the parent passed", n)
	}
}

// A call that one limit refuses is counted by none.
func TestRefusedCallsAreNotCounted(t *testing.T) {
	h := newHouse(t)
	p := h.as(keys.NewKey{Name: "k", PolicyPatch: limitedTo(limitOf("*", 5, policy.PerDay), limitOf("notes/*", 2, policy.PerSecond),
		limitOf("notes/*", 3, policy.PerSecond))})
	for _, want := range []int{2, 2, 1, 0} {
		if n, refused := h.counted(h.svc, p, noteTool, 50); n != want || refused == nil {
			t.Errorf("%d passed, want %d", n, want)
		}
		h.clock.Advance(time.Second)
	}
}

// An edit of the number is in force at once, within the period.
func TestLimitsAreEditedWithinThePeriod(t *testing.T) {
	h := newHouse(t)
	issued := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: limitedTo(limitOf("*", 100, policy.PerDay))})
	calls := func(n int) int {
		passed, _ := h.counted(h.svc, h.login(issued.Secret), noteTool, n)
		return passed
	}
	edit := func(n int64) {
		t.Helper()
		pp := keys.PolicyPatch{MCPLimits: keys.Some([]policy.RateLimit{limitOf("*", n, policy.PerDay)})}
		if _, err := h.svc.UpdateKey(h.ctx, h.op, issued.Key.ID, keys.KeyPatch{PolicyPatch: pp}); err != nil {
			t.Fatal(err)
		}
	}
	if n := calls(20); n != 20 {
		t.Fatalf("%d passed", n)
	}
	edit(21)
	if n := calls(20); n != 1 {
		t.Errorf("%d passed of the one that is left", n)
	}
	edit(10)
	if n := calls(20); n != 0 {
		t.Errorf("%d passed below what was used", n)
	}
	edit(30)
	if n := calls(20); n != 9 {
		t.Errorf("%d passed of the nine more", n)
	}
}

// What can't be counted does not pass; what is in hand does.
func TestCallsWithoutTheStore(t *testing.T) {
	h := newHouse(t)
	p := h.as(keys.NewKey{Name: "k", PolicyPatch: limitedTo(limitOf("*", 160, policy.PerDay))})
	if n, _ := h.counted(h.svc, p, noteTool, 1); n != 1 {
		t.Fatal("the first call did not pass")
	}
	h.store.SetDown(true)
	passed := 0
	for range 50 {
		_, err := h.svc.CountCall(h.ctx, p, noteTool)
		if err == nil {
			passed++
		} else if !errors.Is(err, keys.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	h.store.SetDown(false)
	if passed != 9 { // a sixteenth, less the first
		t.Errorf("%d passed", passed)
	}
	if n, _ := h.counted(h.svc, p, noteTool, 500); n != 150 {
		t.Errorf("%d passed of the 150 that are left", n)
	}
}

// Whatever limits and calls there are, no limit lets more through than it says.
func TestLimitsHold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHouse(t)
		limits := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) policy.RateLimit {
			return limitOf(rapid.SampledFrom([]string{"*", "a/*", "b/*", "a/x"}).Draw(rt, "tool"), rapid.Int64Range(1, 40).Draw(rt, "n"),
				rapid.SampledFrom([]policy.Period{policy.PerSecond, policy.PerMinute}).Draw(rt, "per"))
		}), 1, 4).Draw(rt, "limits")
		issued := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: limitedTo(limits...)})
		services := []*keys.Service{h.svc, h.service()}
		passed := map[string]int64{}
		for range rapid.IntRange(1, 120).Draw(rt, "calls") {
			svc := rapid.SampledFrom(services).Draw(rt, "process")
			p, err := svc.Authenticate(h.ctx, issued.Secret)
			if err != nil {
				rt.Fatal(err)
			}
			id := rapid.SampledFrom([]string{"a/x", "a/y", "b/x", "c/x"}).Draw(rt, "tool")
			tool := &policy.Tool{ID: id, Name: id[:1] + "__" + id[2:], Effect: policy.EffectRead}
			if _, err := svc.CountCall(h.ctx, p, tool); err == nil {
				for i, l := range limits {
					pattern, _ := policy.ParsePattern(l.Tool)
					if pattern.Match(tool) {
						window := fmt.Sprint(i, " ", h.clock.Now().Unix()/l.Per.Seconds())
						if passed[window]++; passed[window] > l.Requests {
							rt.Fatalf("%d calls passed %+v", passed[window], l)
						}
					}
				}
			}
			if rapid.IntRange(0, 9).Draw(rt, "time") == 0 {
				h.clock.Advance(700 * time.Millisecond)
			}
		}
	})
}
