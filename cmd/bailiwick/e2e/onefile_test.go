package e2e_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// stdioLease is how long `bailiwick stdio` decides without the store.
const stdioLease = 10 * time.Second

// operator runs the binary on a data folder, as its operator.
func operator(data string, args ...string) (output string, err error) {
	command := exec.Command(bailiwickBin, append(args, "--data", data)...)
	command.Env = cleanEnv()
	out, err := command.CombinedOutput()
	return string(out), err
}

// whoami calls at a server over HTTP.
func (s *server) whoami(token string) (accepted, answered bool) {
	m := modern{s.url + "/mcp", token}
	got, err := m.ask("tools/call", object{"name": "whoami", "arguments": object{}})
	return err == nil && got.status == http.StatusOK, err == nil
}

func percentiles(took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("%d edits answered, p50 %s, p99 %s", len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond))
}

// TestRevokeByTheCommandLine: keys are revoked by `bailiwick keys revoke` beside
// a server that they call. No call that began after the command had ended is
// accepted.
func TestRevokeByTheCommandLine(t *testing.T) {
	t.Parallel()
	s := serve(t)
	n := max(*revocations/10, 4)
	var took []time.Duration
	var accepted, refused int64
	for i := range n {
		id, token := s.rest().key(t, with(fullAccess(), object{"name": fmt.Sprint("cli ", i)}))
		var c callers
		for range 2 {
			c.by(func() (bool, bool) { return s.whoami(token) })
		}
		<-c.began
		begun := time.Now()
		out, err := operator(s.data, "keys", "revoke", id)
		took = append(took, time.Since(begun))
		c.over.Store(true)
		if err != nil {
			t.Errorf("revoke: %v %s", err, out)
		}
		c.running.Wait()
		if c.wrong.Load() > 0 {
			t.Errorf("%d calls that began after the command had ended were accepted", c.wrong.Load())
		}
		accepted, refused = accepted+c.accepted.Load(), refused+c.refused.Load()
	}
	t.Logf("by the command line: %s; %d calls accepted before, %d refused", percentiles(took), accepted, refused)
	if accepted == 0 || refused == 0 {
		t.Error("one side was never tried")
	}
}

// TestStdioBesideAServer: five processes serve a key each over stdio beside a
// server on the same file. Keys are taken away by the command line, over REST
// and by a tool in one more process: after the answer none is accepted. A process
// that is stopped or killed holds an edit up for its lease and no longer.
func TestStdioBesideAServer(t *testing.T) {
	t.Parallel()
	s := serve(t)
	start := func(name string, fields object) *stdioKey {
		id, token := s.rest().key(t, with(fullAccess(), with(object{"name": name}, fields)))
		return serveStdio(t, s.data, id, token)
	}
	admin := start("admin", object{"permissions": []string{"*"}})
	ways := map[string]func(id string) string{
		"command line": func(id string) string {
			if out, err := operator(s.data, "keys", "revoke", id); err != nil {
				return fmt.Sprint(err, out)
			}
			return ""
		},
		"rest": func(id string) string {
			if status, body, err := s.rest().try(http.MethodDelete, "/api/api-keys/"+id, nil); err != nil || status != 200 {
				return fmt.Sprint(status, err, string(body))
			}
			return ""
		},
		"another process": func(id string) string {
			if ok, answer := admin.call("revoke_api_key", object{"id": id}, patience); !ok {
				return answer
			}
			return ""
		},
	}
	all := make([]*stdioKey, 5)
	for i := range all {
		all[i] = start(fmt.Sprint("stdio ", i), object{})
	}
	for i, way := range []string{"command line", "rest", "another process"} {
		t.Logf("%s: %s", way, takeAway(t, s, way, all[i], all, ways[way]).Round(time.Millisecond))
	}
	stopped, killed := all[3], all[4]
	stopBetweenWrites(t, stopped, s.data)
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for way, k := range map[string]*stdioKey{"command line": stopped, "rest": killed} {
		both.Go(func() {
			begun := time.Now()
			if problem := ways[way](k.id); problem != "" {
				t.Errorf("%s: %s", way, problem)
			}
			took := time.Since(begun)
			t.Logf("one stopped, one killed, by %s: %s", way, took.Round(time.Millisecond))
			if took > 3*stdioLease {
				t.Errorf("%s took %s, with leases of %s", way, took, stdioLease)
			}
			if accepted, _ := s.whoami(k.token); accepted {
				t.Errorf("%s: the server accepts", way)
			}
		})
	}
	both.Wait()
	if err := stopped.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if accepted, answer := stopped.call("whoami", object{}, patience); accepted {
		t.Errorf("the process that was stopped goes on with old rights: %s", answer)
	}
	// Both are out of the way now.
	id, token := s.rest().key(t, fullAccess())
	last := serveStdio(t, s.data, id, token)
	t.Logf("afterwards: %s", takeAway(t, s, "command line", last, []*stdioKey{admin}, ways["command line"]).Round(time.Millisecond))
}

// stopBetweenWrites stops a process that does not hold SQLite's one write lock.
// One that holds it keeps everybody from writing, for as long as it is stopped:
// edits fail, and the others refuse calls once their leases have ended.
func stopBetweenWrites(t *testing.T, k *stdioKey, data string) {
	t.Helper()
	file, err := sql.Open("sqlite", "file:"+data+"/bailiwick.db?_pragma=busy_timeout(1000)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	eventually(t, "stopping a process between two writes", func() string {
		if err := k.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			return err.Error()
		}
		time.Sleep(20 * time.Millisecond) // until all its threads stand still
		tx, err := file.Begin()
		if err == nil {
			return errorText(tx.Rollback())
		}
		_ = k.cmd.Process.Signal(syscall.SIGCONT)
		return err.Error()
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// takeAway revokes a process's key while all call, and answers how long it took.
func takeAway(t *testing.T, s *server, way string, k *stdioKey, others []*stdioKey, revoke func(id string) string) time.Duration {
	t.Helper()
	var c callers
	c.by(func() (bool, bool) {
		accepted, answer := k.call("whoami", object{}, patience)
		return accepted, answer != ""
	})
	c.by(func() (bool, bool) { return s.whoami(k.token) })
	var busy callers // whose keys stay, or are gone already
	for _, other := range others {
		if other != k {
			busy.by(func() (bool, bool) {
				accepted, answer := other.call("whoami", object{}, patience)
				return accepted, answer != ""
			})
		}
	}
	<-c.began
	begun := time.Now()
	problem := revoke(k.id)
	took := time.Since(begun)
	c.over.Store(true)
	busy.over.Store(true)
	if problem != "" {
		t.Errorf("%s: %s", way, problem)
	}
	c.running.Wait()
	busy.running.Wait()
	if c.wrong.Load() > 0 || c.accepted.Load() == 0 || c.refused.Load() == 0 {
		t.Errorf("%s: %d calls accepted and %d refused; %d accepted that began after the answer", way, c.accepted.Load(), c.refused.Load(), c.wrong.Load())
	}
	return took
}
