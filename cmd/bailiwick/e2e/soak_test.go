package e2e_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	soakFor   = flag.Duration("soak", 4*time.Second, "how long TestSoak puts load on each server, after a warm-up half as long")
	soakStore = flag.String("soakstore", "sqlite,postgres", "the stores that TestSoak soaks")
)

// What a server may hold more of after the load than before it, and at the end
// of the load than at its begin. A leak of one goroutine in 100 calls is seen in
// soakSteps calls.
const (
	soakSteps      = 2000 // at least, however long they take
	soakGoroutines = 15
	soakFiles      = 15
	soakHeapMB     = 12.0
	soakResidentMB = 48.0
)

// TestSoak puts mixed load on a server and holds that it keeps nothing of it.
func TestSoak(t *testing.T) {
	binary := buildSoaked(t, "")
	for _, store := range strings.Split(*soakStore, ",") {
		t.Run(store, func(t *testing.T) {
			var args []string
			if store == "postgres" {
				args = []string{"--migrate", "--database-url", postgresURL(t)}
			}
			for _, problem := range soak(t, binary, patience, args...) {
				t.Error(problem)
			}
		})
	}
}

// TestSoakSeesALeak soaks a server that loses a goroutine and a file in 100
// authentications.
func TestSoakSeesALeak(t *testing.T) {
	const leak = "go func() { select {} }()\n" +
		"if f, err := os.Open(os.DevNull); err == nil { leakedFiles = append(leakedFiles, f) }"
	problems := soak(t, buildSoaked(t, leak), 3*time.Second)
	// In so short a time the line through what is held under load may lie anywhere.
	for _, what := range []string{"goroutines after the load", "fds after the load"} {
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, what) }) {
			t.Errorf("%s: nobody saw it, of %q", what, problems)
		}
	}
}

// buildSoaked builds the server with the probe in it, and with a leak.
func buildSoaked(t *testing.T, leak string) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{
		filepath.Join(repository, "cmd", "bailiwick", "soakprobe.go"): filepath.Join(repository, "cmd", "bailiwick", "e2e", "testdata", "soak", "probe.go.txt"),
	}
	if leak != "" {
		original := filepath.Join(repository, "keys", "authenticate.go")
		source, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		const line = "	s.used.note(p.of().key.ID, s.now())\n"
		text := string(source)
		if n := strings.Count(text, line); n != 1 {
			t.Fatalf("%q is %d times in %s", line, n, original)
		}
		text = strings.Replace(text, line, line+"	if leaked.Add(1)%100 == 0 {\n"+leak+"\n}\n", 1)
		text = strings.Replace(text, "import (\n", "import (\n\"os\"\n\"sync/atomic\"\n", 1) +
			"\nvar leaked atomic.Int64\nvar leakedFiles []*os.File\n"
		replace[original] = filepath.Join(dir, "authenticate.go")
		if err := os.WriteFile(replace[original], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "bailiwick")
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", binary, module+"/cmd/bailiwick").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

// held is what a server holds at a moment.
type held struct {
	at         time.Time
	goroutines int
	files      int
	heap       float64 // MB in use after a collection
	resident   float64 // MB
	where      string  // the goroutines are
}

func (h held) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %.1f MB in use, %.1f MB resident", h.goroutines, h.files, h.heap, h.resident)
}

// soak answers what a server has more of than it may, after load. It waits for
// what ends by itself.
func soak(t *testing.T, binary string, wait time.Duration, args ...string) (problems []string) {
	t.Helper()
	socket := filepath.Join(shortTemp(t), "probe")
	s := serveBinary(t, binary, t.TempDir(), []string{"SOAK_SOCKET=" + socket}, args...)
	l := newSoakLoad(t, s)
	l.prefill(t)
	l.run(t, *soakFor/2, soakSteps/4, nil)
	before := quiet(t, s, socket, wait, nil)
	t.Logf("quiet before: %s", before)
	var samples []held
	l.run(t, *soakFor, soakSteps, func() { samples = append(samples, probe(t, s, socket)) })
	after := quiet(t, s, socket, wait, &before)
	t.Logf("quiet after: %s; %s", after, l)
	problems = growth("after the load", before, after)
	first, last := fitted(samples, 0), fitted(samples, len(samples)-1)
	t.Logf("of %d samples under load, on the fitted lines: %s; at the end %s", len(samples), first, last)
	problems = append(problems, growth("under load", first, last)...)
	if len(problems) > 0 && wait == patience {
		t.Logf("the goroutines:\n%.6000s", after.where)
	}
	return problems
}

// growth is what has grown beyond what it may.
func growth(when string, before, after held) (problems []string) {
	for _, g := range []struct {
		what         string
		before, more float64
		now          float64
	}{
		{"goroutines", float64(before.goroutines), soakGoroutines, float64(after.goroutines)},
		{"fds", float64(before.files), soakFiles, float64(after.files)},
		{"MB in use", before.heap, soakHeapMB, after.heap},
		{"MB resident", before.resident, soakResidentMB, after.resident},
	} {
		if g.now > g.before+g.more {
			problems = append(problems, fmt.Sprintf("%s %s: %.1f, were %.1f, at most %.1f more are allowed", g.what, when, g.now, g.before, g.more))
		}
	}
	return problems
}

// quiet waits until the server holds no more than it may, or for a while: what
// was cut off takes a moment to end.
func quiet(t *testing.T, s *server, socket string, wait time.Duration, before *held) held {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	last := probe(t, s, socket)
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		time.Sleep(300 * time.Millisecond)
		now := probe(t, s, socket)
		calm := now.goroutines >= last.goroutines && now.files >= last.files
		last = now
		if before == nil && calm || before != nil && len(growth("", *before, now)) == 0 {
			break
		}
	}
	return last
}

func probe(t *testing.T, s *server, socket string) (h held) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var heap int
	if n, err := fmt.Sscan(string(text), &h.goroutines, &heap); n != 2 {
		t.Fatalf("the probe says %.100q, %v", text, err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	h.at, h.files, h.heap, h.resident, h.where = time.Now(), len(files), float64(heap)/(1<<20), residentMB(t, s.cmd.Process.Pid), string(text)
	return h
}

// fitted is a sample as the lines have it: the median of the slopes between all
// pairs of samples (Theil and Sen), through the median of what that leaves.
func fitted(samples []held, i int) held {
	line := func(value func(held) float64) float64 {
		var slopes, rest []float64
		for a := range samples {
			for b := range a {
				slopes = append(slopes, (value(samples[a])-value(samples[b]))/samples[a].at.Sub(samples[b].at).Seconds())
			}
		}
		slope := middle(slopes)
		for _, s := range samples {
			rest = append(rest, value(s)-slope*s.at.Sub(samples[0].at).Seconds())
		}
		return middle(rest) + slope*samples[i].at.Sub(samples[0].at).Seconds()
	}
	return held{goroutines: int(line(func(h held) float64 { return float64(h.goroutines) })),
		files: int(line(func(h held) float64 { return float64(h.files) })),
		heap:  line(func(h held) float64 { return h.heap }), resident: line(func(h held) float64 { return h.resident })}
}

func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// shortTemp is a folder for a socket, whose path may have 107 bytes.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bwk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
