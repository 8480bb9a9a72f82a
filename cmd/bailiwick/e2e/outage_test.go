package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// outage is a server whose way to its Postgres can be cut, and a key whose calls
// are counted.
type outage struct {
	*server
	database string
	way      *way
	args     []string
	client   *http.Client
	token    string
	passed   atomic.Int64 // calls of whoami that were answered
	denied   atomic.Int64 // calls of tools that are not there, each of another, that were answered
	next     atomic.Int64
}

func newOutage(t *testing.T, args ...string) *outage {
	t.Helper()
	o := &outage{database: postgresURL(t), client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 20}}}
	t.Cleanup(o.client.CloseIdleConnections)
	o.way = openWay(t, o.database)
	o.args = append([]string{"--migrate", "--database-url", o.way.url}, args...)
	o.server = serveOn(t, t.TempDir(), nil, o.args...)
	_, o.token = o.rest().key(t, fullAccess())
	o.mustPass(t)
	return o
}

// again starts another server on the data folder.
func (o *outage) again(t *testing.T) {
	t.Helper()
	first := o.firstKey
	o.server = serveOn(t, o.data, nil, o.args...)
	o.firstKey = first
}

// call calls a tool; whoami is there, others are not.
func (o *outage) call(t *testing.T, token, tool string) (status int, header http.Header, body []byte) {
	t.Helper()
	message := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	req, err := http.NewRequest(http.MethodPost, o.url+"/mcp", strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json",
		"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool} {
		req.Header.Set(name, value)
	}
	res, err := o.client.Do(req)
	if err != nil {
		t.Errorf("calling %s: %v", tool, err)
		return 0, nil, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, _ = io.ReadAll(res.Body)
	return res.StatusCode, res.Header, body
}

// pass calls whoami and a tool that is not there, and answers what refused them.
func (o *outage) pass(t *testing.T) (code string) {
	t.Helper()
	status, _, body := o.call(t, o.token, "whoami")
	if status != http.StatusOK {
		return problemCode(body)
	}
	o.passed.Add(1)
	ghost := fmt.Sprintf("ghost-%06d", o.next.Add(1))
	if _, _, body = o.call(t, o.token, ghost); !bytes.Contains(body, []byte("Unknown tool")) {
		return problemCode(body)
	}
	o.denied.Add(1)
	return ""
}

func problemCode(body []byte) string {
	var p struct{ Code string }
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return "no problem: " + string(body)
	}
	return p.Code
}

func (o *outage) mustPass(t *testing.T) {
	t.Helper()
	if code := o.pass(t); code != "" {
		t.Fatalf("a key that is known here: %s", code)
	}
}

const (
	atOnce  = 8    // calls
	waiting = 4096 // audit entries that wait in memory
)

// many makes n pairs of calls, some at a time.
func (o *outage) many(t *testing.T, n int) {
	t.Helper()
	var all sync.WaitGroup
	for part := range atOnce {
		all.Go(func() {
			for i := part; i < n; i += atOnce {
				if code := o.pass(t); code != "" {
					t.Errorf("a call while the database is down: %s", code)
					return
				}
			}
		})
	}
	all.Wait()
}

// checkTrail waits until each call that was answered is in the database, and
// tells if any is there twice.
func (o *outage) checkTrail(t *testing.T, when string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), o.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	count := func(query string) (n int64) {
		if err := conn.QueryRow(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const denials = ` FROM audit WHERE kind = 'decision' AND decision = 'deny' AND tool LIKE 'ghost-%'`
	eventually(t, when+": all is in the trail", func() string {
		calls := count(`SELECT count(*) FROM audit WHERE kind = 'call' AND tool = 'whoami' AND outcome = 'ok'`)
		distinct := count(`SELECT count(DISTINCT tool)` + denials)
		if calls < o.passed.Load() || distinct < o.denied.Load() {
			return fmt.Sprintf("%d calls of %d, %d denials of %d", calls, o.passed.Load(), distinct, o.denied.Load())
		}
		return ""
	})
	calls := count(`SELECT count(*) FROM audit WHERE kind = 'call' AND tool = 'whoami' AND outcome = 'ok'`)
	if rows := count(`SELECT count(*)` + denials); calls != o.passed.Load() || rows != o.denied.Load() {
		t.Errorf("%s: the trail has %d calls of %d, and %d denials of %d", when, calls, o.passed.Load(), rows, o.denied.Load())
	}
	eventually(t, when+": nothing is left on disk", func() string {
		if n := o.spooled(t); n != 0 {
			return fmt.Sprintf("%d bytes", n)
		}
		return ""
	})
}

func (o *outage) ready(t *testing.T) bool {
	t.Helper()
	res, err := o.client.Get(o.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (o *outage) logs(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() string {
		if strings.Contains(o.log.String(), text) {
			return ""
		}
		return o.log.tail()
	})
}

// TestOutage cuts a server off from its database: what it knows is served, what it
// does not and what edits is refused, and each call is in the audit trail
// afterwards, once; also of a server that was killed meanwhile, or ended.
func TestOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t, "--max-staleness", "10m")
	id, _ := o.rest().key(t, with(fullAccess(), object{"name": "before"}))
	_, unseen := o.rest().key(t, fullAccess())
	o.way.cut(true)
	o.mustPass(t)
	if status, header, body := o.call(t, unseen, "whoami"); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("a key that is not known here: %d %v %s, want 503", status, header, body)
	}
	for _, edit := range []struct {
		method, path string
		body         object
	}{
		{http.MethodPost, "/api/api-keys", object{"name": "during"}},
		{http.MethodPut, "/api/api-keys/" + id, object{"name": "during"}},
		{http.MethodDelete, "/api/api-keys/" + id, nil},
		{http.MethodPost, "/api/projects", object{"slug": "during", "name": "during"}},
	} {
		var content any
		if edit.body != nil {
			content = edit.body
		}
		if status, body := o.rest().do(t, edit.method, edit.path, content); status != 503 {
			t.Errorf("%s %s: %d %s, want 503", edit.method, edit.path, status, body)
		}
	}
	if !o.ready(t) {
		t.Error("not ready within the bound")
	}
	o.many(t, 2500) // two entries each: more than memory takes
	o.logs(t, "audit entries wait on disk")
	time.Sleep(time.Second) // what a crash may cost
	o.kill()
	if o.spooled(t) == 0 {
		t.Error("nothing is on disk")
	}
	o.way.cut(false)
	o.again(t)
	o.logs(t, "are written now")
	o.someWritten(t)
	o.kill() // while it writes them: the next one begins at the start again
	o.again(t)
	o.checkTrail(t, "killed")
	if _, body := o.rest().do(t, http.MethodGet, "/api/api-keys", nil); bytes.Contains(body, []byte("during")) || !bytes.Contains(body, []byte("before")) {
		t.Errorf("an edit was half written: %s", body)
	}

	o.mustPass(t)
	o.way.cut(true)
	o.many(t, 50)
	o.way.cut(false)
	o.checkTrail(t, "the database was back")

	o.way.cut(true)
	o.many(t, 50)
	o.stop(t)
	if code := o.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	o.logs(t, "the next start of the server writes them")
	o.way.cut(false)
	o.again(t)
	o.checkTrail(t, "ended")
}

// TestOutagePastTheBound: nothing is accepted that the server can't be sure of.
func TestOutagePastTheBound(t *testing.T) {
	t.Parallel()
	o := newOutage(t, "--max-staleness", "8s")
	o.way.cut(true)
	o.mustPass(t)
	if !o.ready(t) {
		t.Error("not ready within the bound")
	}
	eventually(t, "not ready past the bound", func() string {
		if o.ready(t) {
			return "ready"
		}
		return ""
	})
	for range 3 {
		if status, header, body := o.call(t, o.token, "whoami"); status != 503 || problemCode(body) != "state.stale" || header.Get("Retry-After") == "" {
			t.Errorf("a call past the bound: %d %v %s", status, header, body)
		}
	}
	if status, body := o.rest().do(t, http.MethodGet, "/api/api-keys", nil); status != 503 || problemCode(body) != "state.stale" {
		t.Errorf("REST past the bound: %d %s", status, body)
	}
	o.way.cut(false)
	eventually(t, "accepted again", func() string {
		if !o.ready(t) {
			return "not ready"
		}
		return o.pass(t)
	})
	o.checkTrail(t, "past the bound")
}

// TestOutageLongerThanTheSpool: what can't be recorded is refused, all else is in
// the trail.
func TestOutageLongerThanTheSpool(t *testing.T) {
	t.Parallel()
	o := newOutage(t, "--max-staleness", "10m", "--audit-spool-limit", "1")
	o.way.cut(true)
	var refused atomic.Pointer[string]
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for refused.Load() == nil && o.hasRoom(t) {
				if code := o.pass(t); code != "" {
					refused.Store(&code)
				}
			}
		})
	}
	all.Wait()
	if code := refused.Load(); code == nil || *code != "audit.full" {
		t.Fatalf("%d calls and %d denials were answered, then one was refused with %v", o.passed.Load(), o.denied.Load(), code)
	}
	if status, header, body := o.call(t, o.token, "whoami"); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("a call that can't be recorded: %d %v %s", status, header, body)
	}
	if n := o.spooled(t); n == 0 || n > 1<<20 {
		t.Errorf("%d bytes on disk, with a limit of 1 MiB", n)
	}
	o.logs(t, "audit.full")
	o.way.cut(false)
	eventually(t, "accepted again", func() string { return o.pass(t) })
	o.checkTrail(t, "the spool was full")
	if strings.Contains(o.log.String(), "were lost") {
		t.Errorf("entries were lost:\n%s", o.log.tail())
	}
}
