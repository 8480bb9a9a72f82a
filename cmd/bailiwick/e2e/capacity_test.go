package e2e_test

import (
	"bytes"
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

var capacityFor = flag.Duration("capacity", 300*time.Millisecond, "how long TestCapacity measures each input")

// TestCapacity measures what docs/capacity.md calculates with, on Postgres. It
// fails only where something does not work; the numbers are for people.
func TestCapacity(t *testing.T) {
	url := postgresURL(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	out := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	defer out.Flush()
	servers := []*server{serveOn(t, t.TempDir(), nil, "--migrate", "--database-url", url)}
	first := servers[0]
	secret := filepath.Join(first.data, "root.secret")
	ids := []string{}
	for i := range 24 {
		id, _ := first.rest().key(t, object{"name": fmt.Sprint("edited ", i)})
		ids = append(ids, id)
	}
	idle := func() {
		fmt.Fprintf(out, "transactions/s of %d idle replicas\t%.1f\n", len(servers), transactions(t, db))
	}
	edits := func() {
		fmt.Fprintf(out, "edits/s at %d replicas, 8 clients each\t%.0f\n", len(servers), editRate(t, servers, ids))
	}
	m := &mounted{server: first, projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "alpha")
	m.stdio(t, "alpha", "notes", notesBin)
	m.settle(t, "notes__list_notes")
	_, token := first.rest().key(t, fullAccess())
	calls(t, out, db, m, token)
	idle()
	edits()
	for range 2 {
		servers = append(servers, serveOn(t, t.TempDir(), nil, "--database-url", url, "--secret-file", secret))
		idle()
		edits()
	}
	cachedKeys(t, out)
}

// calls measures calls through the gateway to an upstream over stdio: the
// server's own CPU for each, and what each leaves in the audit trail.
func calls(t *testing.T, out *tabwriter.Writer, db *sql.DB, m *mounted, token string) {
	t.Helper()
	client := modern{m.url + "/mcp", token}
	work := func(length time.Duration) (n int64) {
		var count atomic.Int64
		var running sync.WaitGroup
		until := time.Now().Add(length)
		for range 8 {
			running.Go(func() {
				for first := true; first || time.Now().Before(until); first = false {
					if err := callOther(client); err != nil {
						t.Error(err)
						return
					}
					count.Add(1)
				}
			})
		}
		running.Wait()
		return count.Load()
	}
	work(*capacityFor / 4)
	time.Sleep(2 * time.Second) // the audit trail is written in batches
	cpu, rows, size := cpuOf(t, m.cmd.Process.Pid), auditRows(t, db), auditSize(t, db)
	n := work(*capacityFor)
	time.Sleep(2 * time.Second)
	cpu = cpuOf(t, m.cmd.Process.Pid) - cpu
	rows, size = auditRows(t, db)-rows, auditSize(t, db)-size
	fmt.Fprintf(out, "CPU of a call, us\t%.0f\n", float64(cpu.Microseconds())/float64(n))
	fmt.Fprintf(out, "calls/s of a core\t%.0f\n", float64(n)/cpu.Seconds())
	fmt.Fprintf(out, "audit rows of a call\t%.2f\n", float64(rows)/float64(n))
	fmt.Fprintf(out, "audit bytes of a row, with its indexes\t%.0f\n", float64(size)/float64(max(rows, 1)))
	if rows < int(n) {
		t.Errorf("%d calls left %d rows in the audit trail", n, rows)
	}
}

func auditRows(t *testing.T, db *sql.DB) int { return number(t, db, "SELECT count(*) FROM audit") }

func auditSize(t *testing.T, db *sql.DB) int {
	return number(t, db, "SELECT pg_total_relation_size('audit')")
}

func number(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// transactions is how many a second the database commits while nobody asks.
func transactions(t *testing.T, db *sql.DB) float64 {
	t.Helper()
	const query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
	time.Sleep(2 * time.Second) // the counters are up to a second late
	before, began := number(t, db, query), time.Now()
	time.Sleep(max(*capacityFor/2, 2*time.Second))
	return float64(number(t, db, query)-before-1) / time.Since(began).Seconds()
}

// editRate lets clients of each replica change keys.
func editRate(t *testing.T, servers []*server, ids []string) float64 {
	t.Helper()
	var count atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	until := began.Add(*capacityFor)
	for i, s := range servers {
		for c := range 8 {
			r, path := rest{s.url, servers[0].firstKey}, "/api/api-keys/"+ids[i*8+c]
			running.Go(func() {
				for n := 0; n == 0 || time.Now().Before(until); n++ {
					status, body, err := r.try(http.MethodPut, path, object{"description": fmt.Sprint("edit ", n)})
					if err != nil || status != 200 {
						t.Errorf("%v %d %s", err, status, body)
						return
					}
					count.Add(1)
				}
			})
		}
	}
	running.Wait()
	return float64(count.Load()) / time.Since(began).Seconds()
}

// cachedKeys is what each key adds to the resident memory once it has asked: the
// first half lets the heap grow to what it may.
func cachedKeys(t *testing.T, out *tabwriter.Writer) {
	t.Helper()
	n := 400
	if *capacityFor >= time.Second {
		n = 20_000
	}
	m := newManyKeys(t, "sqlite", n)
	s := serveOn(t, m.data, nil)
	half := *m
	half.tokens = m.tokens[:n/2]
	half.authenticate(t, s)
	before := residentMB(t, s.cmd.Process.Pid)
	half.tokens = m.tokens[n/2:]
	half.authenticate(t, s)
	fmt.Fprintf(out, "KB resident of a cached key\t%.2f\n", (residentMB(t, s.cmd.Process.Pid)-before)*1024/float64(n/2))
}

// cpuOf is what a process has used so far, in user and kernel mode.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// Behind the name, which may hold anything: fields 3 and on of proc(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}
