package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// asked is one request of an exchange and the status of its answer.
type asked struct {
	method, path string
	status       int
}

// is tells whether the route serves the request.
func (a asked) is(r rest.Route) bool {
	path, _, _ := strings.Cut(a.path, "?")
	got, want := strings.Split(path, "/"), strings.Split(r.Path, "/")
	if a.method != r.Method || len(got) != len(want) {
		return false
	}
	for i, part := range want {
		if part != got[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

// replay runs the requests of an exchange and answers what the file would say
// of them. Its sections:
//
//	request      METHOD PATH, then headers, then an empty line and the body. The
//	             first key asks, unless a header says who does; an empty
//	             Authorization is none. A body is JSON unless a header says.
//	response     status, headers, an empty line and the body, indented.
//	state        what is stored, and in the audit trail, of all that came about.
//	after TIME   lets time pass, as 2h30m.
//	announce SLUG  has an instance announce tools: lines of a name and a digest.
//	used HANDLE DECISION TOOL  records a request of a key for a tool, by its id.
//	denial       records one of the first key, as a tool's call does, under the
//	             reference zzzzzzzzzzzzzzzb.
func (s *site) replay(file *txtar.Archive) (*txtar.Archive, []asked) {
	s.t.Helper()
	got, all, literals := &txtar.Archive{Comment: file.Comment}, []asked{}, ""
	for _, part := range file.Files {
		if part.Name == "request" {
			literals += string(part.Data)
		}
	}
	p := s.placeholders(literals)
	add := func(name, data string) { got.Files = append(got.Files, txtar.File{Name: name, Data: []byte(data)}) }
	for _, part := range file.Files {
		after, isAfter := strings.CutPrefix(part.Name, "after ")
		switch {
		case part.Name == "request":
			s.clock.advance(time.Second)
			text, unknown := p.show(string(part.Data))
			if unknown != nil {
				s.t.Fatalf("%v stand for nothing yet in\n%s", unknown, part.Data)
			}
			a, answer := s.request(text)
			all = append(all, a)
			add(part.Name, string(part.Data))
			add("response", p.hide(responseText(s, answer)))
		case part.Name == "state":
			add(part.Name, p.hide(s.state()))
		case isAfter:
			d, err := time.ParseDuration(after)
			s.must(err)
			s.clock.advance(d)
			add(part.Name, "")
		case strings.HasPrefix(part.Name, "announce "):
			s.announce(strings.TrimPrefix(part.Name, "announce "), string(part.Data))
			add(part.Name, string(part.Data))
		case strings.HasPrefix(part.Name, "used "):
			words := strings.Fields(part.Name)
			s.used(words[1], words[2], words[3])
			add(part.Name, "")
		case part.Name == "denial":
			s.deny(s.first.Key, 1)
			add(part.Name, "")
		case part.Name != "response":
			s.t.Fatalf("no such section: %s", part.Name)
		}
	}
	return got, all
}

func (s *site) placeholders(literals string) *placeholders {
	p := newPlaceholders(literals)
	p.name("<token:first>", s.first.Secret.Reveal())
	p.name("<prefix:first>", s.first.Key.Prefix)
	p.name("<id:first>", s.first.Key.ID)
	p.name("<id:tenant>", s.first.Key.TenantID)
	p.name("<token:foreign>", s.foreign.Secret.Reveal())
	p.name("<id:foreign>", s.foreign.Key.ID)
	p.name("<id:foreign-tenant>", s.foreign.Key.TenantID)
	projects, err := s.svc.Projects(s.ctx, s.op)
	s.must(err)
	p.name("<id:project>", projects[0].ID)
	return p
}

// request sends what a request section says.
func (s *site) request(text string) (asked, response) {
	s.t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, path, ok := strings.Cut(lines[0], " ")
	if !ok {
		s.t.Fatalf("%q is not METHOD PATH", lines[0])
	}
	header := as(s.first.Secret.Reveal(), body)
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			s.t.Fatalf("%q is no header", l)
		}
		if name = http.CanonicalHeaderKey(name); name == "X-Api-Key" {
			header.Del("Authorization")
		}
		header.Del(name)
		if value = strings.TrimSpace(value); value != "" {
			header.Set(name, value)
		}
	}
	answer, err := s.send(method, path, header, body)
	s.must(err)
	return asked{method, path, answer.status}, answer
}

// constant headers are the same in every answer.
var constant = map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

func responseText(s *site, r response) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s\n", r.status, http.StatusText(r.status))
	names := []string{}
	for name := range r.header {
		if _, same := constant[name]; !same && name != "Date" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", strings.ReplaceAll(name, "Etag", "ETag"), strings.Join(r.header[name], ", "))
	}
	for name, value := range constant {
		if r.header.Get(name) != value && r.status != http.StatusNoContent {
			s.t.Errorf("%s is %q, want %q", name, r.header.Get(name), value)
		}
	}
	if r.body == "" {
		return b.String()
	}
	b.WriteString("\n")
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(r.body), "", "  "); err != nil || !strings.HasSuffix(r.body, "\n") {
		s.t.Errorf("the body is no line of JSON: %v in %q", err, r.body)
	}
	return b.String() + strings.TrimSpace(indented.String()) + "\n"
}
