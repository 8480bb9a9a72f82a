package e2e_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

var (
	floodSize = flag.Int("flood", 2000, "how many bad checksums TestFlood sends, and a fifth as many unknown keys")
	floodRate = flag.Int("floodrate", 1000, "how many of them a second")
	floodHold = flag.Bool("floodhold", false, "have TestFlood hold that the good keys' p99 is at most twice what it is without")
)

const (
	floodClients = 8
	floodGood    = 200 // good calls a second
	floodTries   = 10  // of a good key that no server has seen
)

// TestFlood calls with good keys while bad ones flood the server, all from one
// address: the good keys pass, and of the unknown ones no more are looked up than
// one host has turns.
func TestFlood(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			var args []string
			if kind == "postgres" {
				args = []string{"--migrate", "--database-url", postgresURL(t)}
			}
			f := &flood{server: serve(t, args...), client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
			t.Cleanup(f.client.CloseIdleConnections)
			f.run(t)
		})
	}
}

type flood struct {
	*server
	client             *http.Client
	good               []string
	bad                atomic.Int64 // sent so far, of both kinds
	lookedUp, turnedBy atomic.Int64 // unknown keys, by what they were answered
}

func (f *flood) run(t *testing.T) {
	for i := range 20 {
		_, token := f.rest().key(t, object{"name": fmt.Sprint("good ", i), "mcpActive": true})
		f.good = append(f.good, token)
	}
	_, fresh := f.rest().key(t, object{"name": "fresh"})
	total := *floodSize + *floodSize/5
	length := time.Duration(total) * time.Second / time.Duration(*floodRate)
	f.calls(t, time.Second, nil) // once each, so that they are known
	alone := f.calls(t, min(length, 20*time.Second), nil)
	over := make(chan struct{})
	began := time.Now()
	var running sync.WaitGroup
	pace := rate.NewLimiter(rate.Limit(*floodRate), floodClients)
	for range floodClients {
		running.Go(func() { f.attack(t, total, pace) })
	}
	go func() { running.Wait(); close(over) }()
	tries := make(chan int, 1)
	go func() { tries <- f.enter(fresh, over) }()
	during := f.calls(t, 0, over)
	took := time.Since(began)
	if n := <-tries; n > floodTries {
		t.Errorf("a good key that was not cached was not let in by %d tries", floodTries)
	} else {
		t.Logf("a good key that was not cached was let in at try %d", n)
	}
	// The turns of one host at once, five more each second, and the lookups under way.
	if most := 100 + 4 + int64(took.Seconds()*5) + 1; f.lookedUp.Load() > most || f.lookedUp.Load() == 0 {
		t.Errorf("%d unknown keys were looked up, at most %d may", f.lookedUp.Load(), most)
	}
	if *floodSize/5 > 300 && f.turnedBy.Load() == 0 {
		t.Error("no unknown key was turned away: nothing was tried")
	}
	ratio := float64(percentile(during, 99)) / float64(percentile(alone, 99))
	t.Logf("%d bad keys in %s (%.0f/s), %d unknown ones looked up, %d told to come again; %d good calls: p50 %s, p99 %s, without the flood %s and %s: p99 is %.2f times as long",
		total, took.Round(time.Millisecond), float64(total)/took.Seconds(), f.lookedUp.Load(), f.turnedBy.Load(), len(during),
		short(percentile(during, 50)), short(percentile(during, 99)), short(percentile(alone, 50)), short(percentile(alone, 99)), ratio)
	if *floodHold && ratio > 2 {
		t.Errorf("the good keys' p99 is %.2f times what it is without the flood", ratio)
	}
}

// attack sends bad keys until as many are sent: of six, one has a right checksum.
func (f *flood) attack(t *testing.T, total int, pace *rate.Limiter) {
	for {
		n := f.bad.Add(1)
		if n > int64(total) {
			return
		}
		if err := pace.Wait(t.Context()); err != nil {
			return
		}
		unknown := n%6 == 0
		token := fmt.Sprintf("bwk_live_%049d", n)
		if unknown {
			token = unknownToken()
		}
		switch status, again := f.ask(token); {
		case status == 401 && unknown:
			f.lookedUp.Add(1)
		case status == 429 && unknown && again == "1":
			f.turnedBy.Add(1)
		case status != 401:
			t.Errorf("a bad key (right checksum: %v) was answered %d, Retry-After %q", unknown, status, again)
			return
		}
	}
}

// calls lets the good keys call at an even pace, for a time or until over is
// closed, and answers how long each took, from when it was due.
func (f *flood) calls(t *testing.T, length time.Duration, over <-chan struct{}) (took []time.Duration) {
	var mu sync.Mutex
	var running sync.WaitGroup
	if over == nil {
		ending := make(chan struct{})
		time.AfterFunc(length, func() { close(ending) })
		over = ending
	}
	ticker := time.NewTicker(time.Second / floodGood)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-over:
			running.Wait()
			return took
		case <-ticker.C:
		}
		running.Go(func() {
			began := time.Now()
			if status, _ := f.ask(f.good[i%len(f.good)]); status != 200 {
				t.Errorf("a good key was answered %d", status)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
		})
	}
}

// enter tries a key as a client does that is told to come again, from when the
// first unknown one was turned away.
func (f *flood) enter(token string, over <-chan struct{}) (tries int) {
	for f.turnedBy.Load() == 0 {
		select {
		case <-over:
			return floodTries + 1
		case <-time.After(10 * time.Millisecond):
		}
	}
	for tries = 1; tries <= floodTries; tries++ {
		if status, _ := f.ask(token); status == 200 {
			return tries
		}
		time.Sleep(200 * time.Millisecond)
	}
	return tries
}

// ask answers the status, and Retry-After.
func (f *flood) ask(token string) (int, string) {
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequest(http.MethodPost, f.url+"/mcp", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json",
		"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": modernVersion, "Mcp-Method": "tools/call", "Mcp-Name": "whoami"} {
		req.Header.Set(name, value)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("Retry-After")
}
