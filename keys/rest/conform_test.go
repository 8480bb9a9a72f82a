package rest_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/keys/rest/resttest"
)

// published is the document as a server without anything behind it serves it.
var published = sync.OnceValue(func() []byte {
	w := httptest.NewRecorder()
	rest.New(rest.Config{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	return w.Body.Bytes()
})

var document = sync.OnceValues(func() (*resttest.Document, error) { return resttest.Read(published()) })

// conform holds one answer to the document. Every answer that a house or a site
// gets comes through here.
func conform(t testing.TB, method, target, body string, r response) {
	t.Helper()
	d, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(resttest.Exchange{Method: method, Target: target, Request: []byte(body),
		Status: r.status, Header: r.header, Body: []byte(r.body)}); err != nil {
		t.Error(err)
	}
}

// unseen are the operations that no test of this package sees succeed, with the
// reason.
var unseen = map[string]string{}

const leastChecked = 1000

// TestMain asks at the end, when all tests ran, whether enough was seen.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && everything() {
		if err := enoughSeen(); err != nil {
			fmt.Println("FAIL: answers held to the document:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// everything tells whether no flag picked some of the tests.
func everything() bool {
	all := true
	flag.Visit(func(f *flag.Flag) {
		picks := []string{"test.run", "test.skip", "test.bench", "test.fuzz", "test.list", "test.short"}
		all = all && !(slices.Contains(picks, f.Name) && f.Value.String() != "")
	})
	return all
}

func enoughSeen() error {
	d, err := document()
	if err != nil {
		return err
	}
	if n := d.Checked(); n < leastChecked {
		return fmt.Errorf("only %d were, want %d", n, leastChecked)
	}
	for _, id := range d.Unseen() {
		if unseen[id] == "" {
			return fmt.Errorf("no success of %s was", id)
		}
	}
	return nil
}
