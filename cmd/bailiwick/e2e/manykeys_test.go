package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

var manyKeys = flag.Int("manykeys", 3000, "how many keys TestManyKeys has in the store")

const (
	fewKeys     = 100
	importBatch = 10_000
	// startReads is how many rows of keys and secrets a start may read: the
	// configuration, the first key, never all of them.
	startReads = 50
)

// TestManyKeys fills a store with keys, starts a server on it, and reports what
// the start, authentication, lists and searches cost. A start must read no more
// of the keys than it does on a store with few.
func TestManyKeys(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			out := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', tabwriter.AlignRight)
			defer out.Flush()
			fmt.Fprintln(out, "keys\tto listening\tRSS MB\tcold p50\tcold p99\twarm p50\twarm p99\tget\tsearch, few\tsearch, all\tpage 1\tlast page\twhole list\tMB\tRSS MB after\t")
			for _, n := range []int{fewKeys, *manyKeys} {
				newManyKeys(t, kind, n).measure(t, out)
			}
		})
	}
}

// manyKeysStore is a store that a server has been stopped on.
type manyKeysStore struct {
	data, firstKey string
	args           []string
	db             *sql.DB // nil on SQLite
	tokens         []string
}

func newManyKeys(t *testing.T, kind string, n int) *manyKeysStore {
	t.Helper()
	m := &manyKeysStore{data: t.TempDir()}
	if kind == "postgres" {
		url := postgresURL(t)
		m.args = []string{"--migrate", "--database-url", url}
		var err error
		if m.db, err = sql.Open("pgx", url); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.db.Close() })
	}
	s := serveOn(t, m.data, nil, m.args...)
	m.firstKey = s.firstKey
	began := time.Now()
	for from := 0; from < n; from += importBatch {
		m.fill(t, s, from, min(n, from+importBatch))
	}
	t.Logf("%s: %d keys imported in %s", kind, n, time.Since(began).Round(time.Millisecond))
	s.stop(t)
	if m.db != nil { // as autovacuum has done by the time that people ask
		if _, err := m.db.Exec("ANALYZE"); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *manyKeysStore) fill(t *testing.T, s *server, from, to int) {
	t.Helper()
	var lines bytes.Buffer
	for i := from; i < to; i++ {
		token := fmt.Sprintf("many-keys-token-%032d", i)
		m.tokens = append(m.tokens, token)
		line, err := json.Marshal(with(fullAccess(), object{"name": fmt.Sprintf("agent %d of team %d", i, i%500),
			"hash": fmt.Sprintf("%x", sha256.Sum256([]byte(token)))}))
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	request, err := http.NewRequest(http.MethodPost, s.url+"/api/api-keys/import/bulk", &lines)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+m.firstKey)
	request.Header.Set("Content-Type", "application/x-ndjson")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("import: %v %d %.300s", err, response.StatusCode, answer)
	}
}

// measure starts a server and asks it.
func (m *manyKeysStore) measure(t *testing.T, out io.Writer) {
	t.Helper()
	before := m.rowsRead(t)
	began := time.Now()
	s := serveOn(t, m.data, nil, m.args...)
	started := time.Since(began)
	fresh := residentMB(t, s.cmd.Process.Pid)
	s.stop(t)
	if m.db != nil {
		// What a server has read is counted by the time that its connections are closed.
		read := m.rowsRead(t) - before
		t.Logf("a start on %d keys read %d rows of keys and their secrets", len(m.tokens), read)
		if read > startReads {
			t.Errorf("a start on %d keys read %d rows of keys and their secrets, at most %d are allowed", len(m.tokens), read, startReads)
		}
	}
	s = serveOn(t, m.data, nil, m.args...)
	cold, warm := m.authenticate(t, s), m.authenticate(t, s)
	r := rest{s.url, m.firstKey}
	ask := func(path string) (took time.Duration, size int) {
		began := time.Now()
		status, body, err := r.try(http.MethodGet, path, nil)
		if err != nil || status != 200 {
			t.Fatalf("%s: %v %d %.300s", path, err, status, body)
		}
		return time.Since(began), len(body)
	}
	search, _ := ask("/api/admin/api-keys?limit=200&search=agent+77")
	all, _ := ask("/api/admin/api-keys?limit=200&search=agent")
	first, _ := ask("/api/admin/api-keys?limit=200&page=1")
	last, _ := ask(fmt.Sprint("/api/admin/api-keys?limit=200&page=", 1+len(m.tokens)/200))
	_, body, _ := r.try(http.MethodGet, "/api/admin/api-keys?limit=1&page=2", nil)
	var page struct {
		Total   int
		APIKeys []struct{ ID string }
	}
	if err := json.Unmarshal(body, &page); err != nil || page.Total != len(m.tokens)+1 || len(page.APIKeys) != 1 {
		t.Fatalf("%v %s", err, body)
	}
	get, _ := ask("/api/api-keys/" + page.APIKeys[0].ID)
	whole, bytes := ask("/api/api-keys")
	after := residentMB(t, s.cmd.Process.Pid)
	s.stop(t)
	// The same count, where there was something to read.
	if read := m.rowsRead(t) - before; m.db != nil && read < len(cold) {
		t.Errorf("%d keys were looked up, and the database has read %d rows", len(cold), read)
	}
	fmt.Fprintf(out, "%d\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%.1f\t\n", len(m.tokens), short(started), fresh,
		short(percentile(cold, 50)), short(percentile(cold, 99)), short(percentile(warm, 50)), short(percentile(warm, 99)),
		short(get), short(search), short(all), short(first), short(last), short(whole), float64(bytes)/1e6, after)
}

// authenticated is how many keys are asked with: all that the cache keeps.
const authenticated = 15_000

// authenticate lets some of the keys ask once each, one after the other.
func (m *manyKeysStore) authenticate(t *testing.T, s *server) []time.Duration {
	t.Helper()
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	var took []time.Duration
	step := max(1, len(m.tokens)/authenticated)
	for i := 0; i < len(m.tokens); i += step {
		request, err := http.NewRequest(http.MethodGet, s.url+"/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+m.tokens[i])
		began := time.Now()
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		took = append(took, time.Since(began))
		if response.StatusCode != 200 {
			t.Fatalf("key %d: %d", i, response.StatusCode)
		}
	}
	return took
}

// rowsRead is how many rows of keys and secrets Postgres has handed out.
func (m *manyKeysStore) rowsRead(t *testing.T) (rows int) {
	t.Helper()
	if m.db == nil {
		return 0
	}
	// The server's connections end a moment after it has closed them.
	eventually(t, "the server's connections are closed", func() string {
		var open int
		err := m.db.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bailiwick'`).Scan(&open)
		if err != nil || open > 0 {
			return fmt.Sprint(open, " open, ", err)
		}
		return ""
	})
	err := m.db.QueryRow(`SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_user_tables WHERE relname IN ('keys', 'key_secrets')`).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func percentile(took []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(len(sorted)-1)*percent/100]
}

func short(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
