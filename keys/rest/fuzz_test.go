package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// target is a server that requests are thrown at. It is made anew whenever one
// of them changes something.
type target struct {
	*house
	key   keys.Key
	state string
	at    int64
}

func (x *target) renew(t testing.TB) {
	x.house = newHouse(t)
	x.key, _ = x.mint(keys.NewKey{Name: "target"})
	_, err := x.svc.CreateInstance(x.ctx, x.op, keys.InstanceSpec{Slug: keys.Some("target"),
		Transport: keys.Some(keys.TransportHTTP), URL: keys.Some("https://tools.example/mcp")})
	x.must(err)
	_, err = x.svc.CreateProject(x.ctx, x.op, keys.NewProject{Slug: "target", Name: "target"})
	x.must(err)
	_, err = x.svc.CreatePreset(x.ctx, x.op, keys.NewPreset{Name: "target", MaxEffect: policy.EffectRead})
	x.must(err)
	x.state, err = stateOf(x.ctx, x.store, 0)
	x.must(err)
	x.at = x.epoch()
}

// path is the route's, about what is there.
func (x *target) path(r rest.Route) string {
	id := "target"
	if strings.Contains(r.Path, "/api-keys/") {
		id = x.key.ID
	}
	return r.Concrete(id)
}

// throw sends one request, and holds the answer to be one: no 5xx, JSON of the
// right kind, and no change unless it says so.
func (x *target) throw(t *testing.T, route rest.Route, change func(*http.Request), body string) {
	t.Helper()
	if x.house == nil {
		x.renew(t)
	}
	x.t = t
	r := httptest.NewRequest(route.Method, x.path(route), strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+x.first)
	if body != "" {
		r.Header.Set("Content-Type", route.Kind())
	}
	change(r)
	w := httptest.NewRecorder()
	x.api.ServeHTTP(w, r)
	told := fmt.Sprintf("%s %s answers %d %.300s", r.Method, r.URL, w.Code, w.Body)
	if w.Code >= 500 || w.Code < 200 || w.Code/100 == 3 {
		t.Fatal(told)
	}
	x.checkAnswer(t, route, w, told)
	if w.Code/100 == 2 {
		if x.epoch() > x.at+1 {
			t.Fatalf("%s, with %d edits", told, x.epoch()-x.at)
		}
		if x.epoch() != x.at {
			x.house = nil
		}
		return
	}
	state, err := stateOf(x.ctx, x.store, 0)
	x.must(err)
	if x.epoch() != x.at || state != x.state {
		t.Fatalf("%s, and something was changed:\n%s", told, difference(x.state, state))
	}
}

func (x *target) checkAnswer(t *testing.T, route rest.Route, w *httptest.ResponseRecorder, told string) {
	t.Helper()
	kind := w.Header().Get("Content-Type")
	want := "application/json"
	if w.Code >= 400 && !strings.HasPrefix(w.Body.String(), `{"error":`) {
		want = "application/problem+json"
	}
	if w.Code == http.StatusNoContent {
		want = ""
	}
	if kind != want || (w.Body.Len() > 0) != (want != "") || want != "" && !json.Valid(w.Body.Bytes()) {
		t.Fatalf("%s of kind %q", told, kind)
	}
	if w.Code < 400 {
		return
	}
	var problem struct {
		Status       *int
		Code, Detail string
	}
	var fault map[string]string
	switch {
	case route.Shape == "capydb" && want == "application/json":
		if err := json.Unmarshal(w.Body.Bytes(), &fault); err != nil || len(fault) != 1 || fault["error"] == "" {
			t.Fatalf("%s: %v", told, err)
		}
	case route.Shape == "capydb" && strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem"):
		t.Fatalf("%s, which is another shape's error", told)
	default:
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Status == nil || *problem.Status != w.Code ||
			problem.Code == "" || problem.Detail == "" {
			t.Fatalf("%s: %v", told, err)
		}
	}
}

// FuzzBody throws any bytes at every operation that takes a body.
func FuzzBody(f *testing.F) {
	x := &target{}
	f.Fuzz(func(t *testing.T, body []byte) {
		x.every(t, func(r rest.Route) bool { return r.Body }, func(*http.Request) {}, string(body))
	})
}

// FuzzQuery throws any query at every operation.
func FuzzQuery(f *testing.F) {
	x := &target{}
	f.Fuzz(func(t *testing.T, query string) {
		x.every(t, func(r rest.Route) bool { return r.Method == http.MethodGet }, func(r *http.Request) { r.URL.RawQuery = query }, "")
	})
}

// FuzzHeader throws any value of each header that is read at every operation.
func FuzzHeader(f *testing.F) {
	x := &target{}
	f.Fuzz(func(t *testing.T, name byte, value string) {
		headers := []string{"If-Match", "X-Org-Slug", "Authorization", "X-Api-Key", "Content-Type", "Content-Encoding", "Idempotency-Key"}
		header := headers[int(name)%len(headers)]
		x.every(t, func(rest.Route) bool { return true }, func(r *http.Request) { r.Header.Set(header, value) }, `{"enabled":true}`)
	})
}

// FuzzPath throws any text in the place of an id or a name at every operation
// that has one.
func FuzzPath(f *testing.F) {
	x := &target{}
	f.Fuzz(func(t *testing.T, id string) {
		for _, route := range routes(t) {
			if thing(route) {
				x.throw(t, route, func(r *http.Request) {
					r.URL.Path, _, _ = strings.Cut(route.Concrete(id), "?tool=")
					r.URL.RawPath, _, _ = strings.Cut(route.Concrete(url.PathEscape(id)), "?")
				}, "")
			}
			if wild(route) && route.Shape != "ocore" {
				x.throw(t, route, func(r *http.Request) {
					r.URL.Path, r.URL.RawPath = route.In(id, "target"), route.In(url.PathEscape(id), "target")
				}, "")
			}
		}
	})
}

// every throws one request at each route that has it.
func (x *target) every(t *testing.T, which func(rest.Route) bool, change func(*http.Request), body string) {
	t.Helper()
	thrown := 0
	for _, route := range rest.Routes() {
		if which(route) {
			thrown++
			x.throw(t, route, change, body)
		}
	}
	if thrown < 10 {
		t.Fatalf("only %d routes", thrown)
	}
}

func TestFuzzTargetsHaveSeeds(t *testing.T) {
	for name, least := range map[string]int{"FuzzBody": 30, "FuzzQuery": 15, "FuzzHeader": 15, "FuzzPath": 15} {
		seeds, err := os.ReadDir("testdata/fuzz/" + name)
		if err != nil || len(seeds) < least {
			t.Errorf("%s has %d seeds (%v)", name, len(seeds), err)
		}
	}
}
