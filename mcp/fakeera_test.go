package mcp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// fakeEra is what of a fakeUpstream depends on its era: subscriptions and levels
// of logging. Set before anything is served.
type fakeEra struct {
	modern     bool // it speaks 2026-07-28 alone
	subscribes bool // it offers subscriptions to its resources
	logs       bool // it offers logging; of the older era

	uris   map[string]int          // subscribed to in the older era, and how often
	opened map[*fakeListen]bool    // open subscriptions/listen requests
	level  string                  // asked for last
	refuse func(uri string) string // a JSON-RPC error; "" = it agrees
}

type fakeListen struct {
	id   string
	uris []string
	said chan string
}

func (u *fakeUpstream) offersSubscribe() string {
	if u.subscribes {
		return `,"subscribe":true`
	}
	return ""
}

// serveEra answers what is not of both eras.
func (u *fakeUpstream) serveEra(w http.ResponseWriter, r *http.Request, method string, id, raw json.RawMessage) {
	var params struct {
		URI           string `json:"uri"`
		Level         string `json:"level"`
		Notifications struct {
			URIs []string `json:"resourceSubscriptions"`
		} `json:"notifications"`
	}
	_ = json.Unmarshal(raw, &params)
	ours := map[string]bool{"server/discover": u.modern, "subscriptions/listen": u.modern,
		"resources/subscribe": !u.modern && u.subscribes, "resources/unsubscribe": !u.modern && u.subscribes, "logging/setLevel": !u.modern && u.logs}
	serves, mine := ours[method]
	if mine && !serves {
		u.answer(w, id, answersError+`{"code":-32601,"message":"Method not found"}`)
		return
	}
	u.mu.Lock()
	if u.uris == nil {
		u.uris, u.opened = map[string]int{}, map[*fakeListen]bool{}
	}
	said := `{}`
	if u.refuse != nil && method == "resources/subscribe" {
		if no := u.refuse(params.URI); no != "" {
			said = answersError + no
		}
	}
	switch method {
	case "server/discover":
		said = `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true` + u.offersSubscribe() + `}}}`
	case "resources/subscribe":
		if said == `{}` {
			u.uris[params.URI]++
		}
	case "resources/unsubscribe":
		delete(u.uris, params.URI)
	case "logging/setLevel":
		u.level = params.Level
	}
	u.mu.Unlock()
	switch {
	case method == "subscriptions/listen":
		u.listenModern(w, r, string(id), params.Notifications.URIs)
	case mine:
		u.answer(w, id, said)
	}
}

func (u *fakeUpstream) listenModern(w http.ResponseWriter, r *http.Request, id string, uris []string) {
	l := &fakeListen{id: id, uris: uris, said: make(chan string, 10)}
	if !u.subscribes {
		l.uris = nil
	}
	u.mu.Lock()
	u.opened[l], u.listens[l.said] = true, struct{}{}
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		delete(u.opened, l)
		delete(u.listens, l.said)
		u.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	granted, _ := json.Marshal(l.uris)
	if l.uris == nil {
		granted = []byte(`[]`)
	}
	_, _ = fmt.Fprintf(w, `data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s},"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":%s}}}`+"\n\n", id, granted)
	w.(http.Flusher).Flush()
	for {
		select {
		case said := <-l.said:
			_, _ = io.WriteString(w, `data: {"jsonrpc":"2.0",`+said+"}\n\n")
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		case <-u.over:
			return
		}
	}
}

// wanted are the uris that are subscribed to at the upstream now, in order.
func (u *fakeUpstream) wanted() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.opened) > 1 { // one takes the other's place, and both tell of updates
		return []string{"(two streams)"}
	}
	out := []string{}
	for uri := range u.uris {
		out = append(out, uri)
	}
	for l := range u.opened {
		out = append(out, l.uris...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// asks is how often the upstream was asked for a uri (older era).
func (u *fakeUpstream) asks(uri string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.uris[uri]
}

func (u *fakeUpstream) logLevel() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.level
}

// updated tells that a resource changed; of a part, when it is not the uri that
// was subscribed to.
func (u *fakeUpstream) updated(uri string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	say := func(to chan string, text string) {
		select {
		case to <- text:
		default: // its client is gone
		}
	}
	if !u.modern {
		for c := range u.listens {
			say(c, `"method":"notifications/resources/updated","params":{"uri":`+quoted(uri)+`,"title":"t"}`)
		}
	}
	for l := range u.opened {
		say(l.said, `"method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":`+l.id+`},"uri":`+quoted(uri)+`}`)
	}
}
