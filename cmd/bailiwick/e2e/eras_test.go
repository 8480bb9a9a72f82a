package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestEras drives every feature through every pair of a client's and an upstream's
// era and transport: real processes on both sides of a real server. Each cell has
// an instance and a key of its own, so that all run at once and nothing that one
// does is seen by another. What a pair can't have is checked too: it is refused in
// the words that the feature's check names.
func TestEras(t *testing.T) {
	t.Parallel()
	m := &mounted{server: serve(t), projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "eras")
	bin, err := buildEraServer()
	if err != nil {
		t.Fatalf("building the fixture: %v\n%s", err, bin)
	}
	urls := map[bool]string{false: startEraServer(t, bin, "legacy"), true: startEraServer(t, bin, "modern")}
	var cells []*eraCell
	var settled []string
	m.mount(t, "eras", "bare-legacy", object{"transport": "http", "url": urls[false] + "/bare/b"})
	m.mount(t, "eras", "bare-modern", object{"transport": "http", "url": urls[true] + "/bare/b"})
	for _, up := range eraUpstreams {
		for _, door := range eraDoors {
			slug := up.name + "-" + door.name
			switch up.transport {
			case "stdio":
				m.stdio(t, "eras", slug, bin, up.era(), "stdio")
			case "http":
				m.mount(t, "eras", slug, object{"transport": "http", "url": urls[up.modern] + "/mcp/" + slug})
			case "sse":
				m.mount(t, "eras", slug, object{"transport": "sse", "url": urls[up.modern] + "/sse/" + slug})
			}
			_, token := m.rest().key(t, with(fullAccess(), object{"name": slug,
				"mcpInstanceIds": []string{m.instances[slug], m.instances["bare-"+up.era()]}}))
			cells = append(cells, &eraCell{m: m, up: up, slug: slug, modern: door.modern, token: token, door: door.open})
			settled = append(settled, slug+"__seen")
		}
	}
	m.settle(t, append(settled, "bare-legacy__seen", "bare-modern__seen")...)
	var verdicts sync.Map
	t.Run("cells", func(t *testing.T) {
		for _, e := range cells {
			t.Run(e.slug, func(t *testing.T) {
				t.Parallel()
				e.run(t, &verdicts)
			})
		}
	})
	n := 0
	verdicts.Range(func(any, any) bool { n++; return true })
	if want := len(eraUpstreams) * len(eraDoors) * len(eraFeatures); n != want || n < 900 {
		t.Errorf("%d verdicts, want %d", n, want)
	}
}

// eraUpstream is a kind of upstream: its era and how it is mounted.
type eraUpstream struct {
	name, transport string
	modern          bool
}

func (u eraUpstream) era() string {
	if u.modern {
		return "modern"
	}
	return "legacy"
}

var eraUpstreams = []eraUpstream{
	{"old-stdio", "stdio", false}, {"old-http", "http", false}, {"old-sse", "sse", false},
	{"new-stdio", "stdio", true}, {"new-http", "http", true},
}

// eraCell is one pair: an upstream and a client in front of it.
type eraCell struct {
	m      *mounted
	up     eraUpstream
	slug   string // of its instance
	modern bool   // the client's era
	token  string
	door   func(*testing.T, *mounted, string) eraDoor
	t      *testing.T
	*eraClient
}

// eraFeature is what a pair must do. check answers what is wrong, "" = nothing.
type eraFeature struct {
	name  string
	check func(e *eraCell) (string, error)
}

func (e *eraCell) run(t *testing.T, verdicts *sync.Map) {
	e.t, e.eraClient = t, e.connect(t, canBeAsked)
	for _, f := range eraFeatures {
		t.Run(f.name, func(t *testing.T) {
			e.forget()
			e.questionsAsked()
			problem, err := f.check(e)
			if err != nil {
				t.Error(err)
			}
			if problem != "" {
				t.Error(problem)
			}
			verdicts.Store(e.slug+" "+f.name, true)
		})
	}
}

// connect opens another client of the cell.
func (e *eraCell) connect(t *testing.T, can object) *eraClient {
	version := legacyVersion
	if e.modern {
		version = modernVersion
	}
	c := newEraClient(e.modern, can, e.door(t, e.m, e.token))
	c.open(t, version)
	return c
}

// tool asks for a call of one of the fixture's tools.
func (e *eraCell) tool(name string, arguments object) (rpcMessage, error) {
	return e.ask("tools/call", object{"name": e.slug + "__" + name, "arguments": arguments})
}

// seen is what the upstream was told, as it tells itself.
func (e *eraCell) seen() (string, error) {
	m, err := e.tool("seen", object{})
	return m.member("structuredContent"), err
}

// untilSeen asks the upstream until it was told this.
func (e *eraCell) untilSeen(want string) (string, error) {
	var last string
	var failure error
	ok := soon(func() bool {
		last, failure = e.seen()
		return failure != nil || strings.Contains(last, want)
	})
	if !ok {
		return "the upstream was told " + last + ", want " + want, failure
	}
	return "", failure
}

var buildEraServer = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(bailiwickBin), "eraserver")
	out, err := exec.Command("go", "build", "-o", path, module+"/cmd/bailiwick/e2e/eraserver").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

// startEraServer runs the fixture over HTTP and answers its URL.
func startEraServer(t *testing.T, bin, era string) string {
	t.Helper()
	return fixtureAt(t, exec.Command(bin, era, "127.0.0.1:0"))
}
