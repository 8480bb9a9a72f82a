package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// notAlone are the operations whose example needs what another client, or a
// person, did before.
var notAlone = map[string]string{
	"getDecision":  "a denial must have been recorded",
	"pollLogin":    "only the device that started it has its poll_token",
	"getLogin":     "one that is decided waits for nobody",
	"importKey":    "the example of importKeys takes over the same token",
	"approveTools": "the upstream must have announced the tool",
	"denyLogin":    "one that is approved can't be denied",

	"getApproval": "a call must wait for approval",
	"approveCall": "a call must wait for approval",
	"denyCall":    "a call must wait for approval",
}

// Every documented example is a request that the server takes, once what it
// names is there.
func TestExamplesWork(t *testing.T) {
	d := readDocument(t)
	byTag := map[string][]rest.Route{}
	for _, r := range rest.Routes() {
		op := d.Paths[r.Path][strings.ToLower(r.Method)]
		byTag[op.Tags[0]] = append(byTag[op.Tags[0]], r)
	}
	for tag, routes := range byTag {
		t.Run(tag, func(t *testing.T) {
			w := walkthrough{newHouse(t), d, map[string]map[string]string{}}
			slices.Reverse(routes)
			w.try(routes, func(r rest.Route) bool { return r.Method == "POST" && collection(r.Path) == settled(r.Path) })
			w.try(routes, func(r rest.Route) bool {
				return r.Method != "DELETE" && !(r.Method == "POST" && collection(r.Path) == settled(r.Path))
			})
			w.try(routes, func(r rest.Route) bool { return r.Method == "DELETE" })
		})
	}
}

type walkthrough struct {
	*house
	document openAPI
	made     map[string]map[string]string // wildcard to value, by collection
}

// settled is a path in the tenant "default".
func settled(path string) string {
	return strings.NewReplacer("{tenantId}", "default", "{orgID}", "default").Replace(path)
}

// collection is what the path's thing is one of.
func collection(path string) string {
	of, _, _ := strings.Cut(settled(path), "/{")
	if of == "/api/admin/api-keys" {
		return "/api/api-keys" // the same keys, as the platform sees them
	}
	return of
}

func (w walkthrough) try(routes []rest.Route, picked func(rest.Route) bool) {
	w.t.Helper()
	tried := 0
	for _, r := range routes {
		if !picked(r) || notAlone[r.Operation] != "" {
			continue
		}
		tried++
		op := w.document.Paths[r.Path][strings.ToLower(r.Method)]
		path := settled(r.Path)
		for wildcard, value := range w.made[collection(r.Path)] {
			path = strings.ReplaceAll(path, wildcard, value)
		}
		query := url.Values{}
		for _, p := range op.Parameters {
			if p.In == "query" && p.Required {
				query.Set(p.Name, fmt.Sprint(p.Example))
			}
		}
		if len(query) > 0 {
			path += "?" + query.Encode()
		}
		body := ""
		if op.RequestBody != nil {
			var line bytes.Buffer // for what is read by lines
			if err := json.Compact(&line, op.RequestBody.Content[r.Kind()].Example); err != nil {
				w.t.Error(err)
			}
			body = line.String()
		}
		answer := w.ask(r.Method, path, body, "Content-Type", r.Kind())
		if answer.status != r.Status {
			w.t.Errorf("%s %s with the example %s answers %d %s", r.Method, path, body, answer.status, answer.body)
		}
		if r.Method == "POST" && collection(r.Path) == settled(r.Path) {
			w.note(collection(r.Path), answer.body)
		}
	}
	if tried == 0 {
		w.t.Error("nothing was tried")
	}
}

// note keeps what paths may name of what was made.
func (w walkthrough) note(collection, body string) {
	var made struct {
		ID, Name string
		APIKey   struct{ ID string } `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(body), &made); err != nil {
		w.t.Errorf("%s: %v", body, err)
	}
	if made.ID == "" {
		made.ID = made.APIKey.ID
	}
	if made.ID == "" && made.Name == "" {
		return
	}
	w.made[collection] = map[string]string{"{id}": made.ID, "{keyID}": made.ID, "{name}": made.Name, "{keyName}": made.Name}
}
