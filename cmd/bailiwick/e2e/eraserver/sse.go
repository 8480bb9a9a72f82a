package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// pipe is one open stream of HTTP+SSE (2024-11-05), on which everything goes.
type pipe struct {
	s   *server
	r   *http.Request
	say func(raw string)
}

func (h *house) serveSSE(w http.ResponseWriter, r *http.Request, s *server) {
	number := fmt.Sprint(h.sessions.Add(1))
	var writing sync.Mutex
	p := &pipe{s: s, r: r, say: func(raw string) {
		writing.Lock()
		defer writing.Unlock()
		if r.Context().Err() == nil {
			event(w, raw)
		}
	}}
	h.streams.Store(number, p)
	defer h.streams.Delete(number)
	w.Header().Set("Content-Type", "text/event-stream")
	s.listen(r.Context(), &listener{say: p.say}, func() {
		writing.Lock()
		defer writing.Unlock()
		_, _ = fmt.Fprintf(w, "event: endpoint\ndata: /message/%s\n\n", number)
		w.(http.Flusher).Flush()
	})
	writing.Lock() // nothing is written after the handler
	defer writing.Unlock()
}

// posted takes a message whose answer goes on the stream.
func (h *house) posted(w http.ResponseWriter, r *http.Request, number string) {
	found, ok := h.streams.Load(strings.TrimSpace(number))
	var m message
	if !ok || json.NewDecoder(r.Body).Decode(&m) != nil {
		http.NotFound(w, r)
		return
	}
	p := found.(*pipe)
	w.WriteHeader(http.StatusAccepted)
	go func() {
		if answer := p.s.take(p.r.Context(), number+"/", m, p.say); answer != "" {
			p.say(answer)
		}
	}()
}
