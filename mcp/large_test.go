package mcp_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// bulk is about 75 KB of JSON text that differs all over from every other
// seed's, with what could be spelled in another way.
func bulk(seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	row := fmt.Sprintf(`{"n":%d0000000000,"f":1.%d0,"s":"\u00e9é\/<\"%x"},`, r.Uint64(), r.Uint32(), r.Uint64())
	return fmt.Sprintf(`{"seed":%d,"rows":[`, seed) + strings.Repeat(row, 75<<10/len(row)) + `null]}`
}

// TestLargeAnswers: 400 calls at once, of eight keys and both eras, with 75 KB
// each way: none is cut or mixed with another.
func TestLargeAnswers(t *testing.T) {
	const (
		clients  = 8
		parallel = 50 // below a key's limit of running calls
	)
	w := newWorld(t)
	up := newUpstream(t, tool("t", "r"))
	w.mount("a1", up)
	together := newMeeting(clients * parallel)
	up.on("t", func(c fakeCall) string {
		var a struct{ Seed uint64 }
		if err := json.Unmarshal(c.Arguments, &a); err != nil || string(c.Arguments) != bulk(a.Seed) {
			return answersError + `{"code":1,"message":"the arguments came changed"}`
		}
		if !together.wait() {
			return answersError + `{"code":1,"message":"the calls did not run at once"}`
		}
		return `{"content":[],"structuredContent":` + bulk(a.Seed+1_000_000) + `}`
	})
	var wg sync.WaitGroup
	for n := range uint64(clients) {
		k := w.key()
		call := func(arguments string) answer {
			return w.modern(k, "/mcp", "tools/call", `"name":"a1__t","arguments":`+arguments)
		}
		if n%2 == 0 {
			call = sessionCall(w, k)
		}
		for i := range uint64(parallel) {
			seed := n*parallel + i
			wg.Go(func() {
				a := call(bulk(seed))
				want := `"content":[],"structuredContent":` + bulk(seed+1_000_000) + `}}`
				if a.status != 200 || !strings.HasSuffix(a.body, want) || !json.Valid([]byte(a.body)) {
					t.Errorf("call %d: %d, %d bytes, want %d and more: %.200s", seed, a.status, len(a.body), len(want), a.body)
				}
			})
		}
	}
	wg.Wait()
	if n := len(up.seen()); n != clients*parallel {
		t.Errorf("the upstream saw %d calls", n)
	}
}

// sessionCall makes calls in one session, each under its own id.
func sessionCall(w *world, k keys.Issued) func(arguments string) answer {
	c := w.connect(k, "/mcp")
	var mu sync.Mutex
	id := 0
	return func(arguments string) answer {
		mu.Lock()
		id++
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a1__t","arguments":%s}}`, id, arguments)
		mu.Unlock()
		return c.send(body)
	}
}
