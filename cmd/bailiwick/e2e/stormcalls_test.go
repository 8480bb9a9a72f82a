package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// send sends an edit, or reads, as the first key.
func (s *storm) send(server int, method, path string, body object) answered {
	var content []byte
	if body != nil {
		content, _ = json.Marshal(body)
	}
	request, err := http.NewRequest(method, s.servers[server].url+path, bytes.NewReader(content))
	if err != nil {
		s.note(err.Error())
		return answered{}
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, text, err := s.exchange(request)
	if err != nil {
		s.note(fmt.Sprintf("%s %s at server %d: %v", method, path, server, err))
		return answered{}
	}
	if !expected(response, text, http.StatusOK, http.StatusCreated, http.StatusNoContent) {
		s.note(fmt.Sprintf("%s %s at server %d: %d %.300s", method, path, server, response.StatusCode, text))
	}
	return answered{response.StatusCode, response.Header.Get("ETag"), text}
}

func (s *storm) exchange(request *http.Request) (*http.Response, []byte, error) {
	response, err := s.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, text, err
}

// call calls the tool with a key.
func (s *storm) call(server int, k *stormKey) stormCall {
	c := stormCall{key: k, server: server, began: time.Now()}
	message, header := modern{}.request("tools/call", object{"name": "notes__read_note", "arguments": object{"title": "groceries"}})
	body, _ := json.Marshal(message)
	request, err := http.NewRequest(http.MethodPost, s.servers[server].url+"/mcp", bytes.NewReader(body))
	if err != nil {
		s.note(err.Error())
		return c
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+k.token)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, text, err := s.exchange(request)
	c.ended = time.Now()
	if err != nil {
		s.note(fmt.Sprintf("a call at server %d: %v", server, err))
		return c
	}
	c.status = response.StatusCode
	if response.Header.Get("Content-Type") == "text/event-stream" {
		text, _ = responseEvent(bytes.NewReader(text))
	}
	var got struct {
		Code   string
		Error  struct{ Code int }
		Result *struct{ IsError bool }
	}
	unknownTool := json.Unmarshal(text, &got) == nil && got.Error.Code == -32602
	c.code = got.Code
	c.allowed = c.status == http.StatusOK && got.Result != nil && !got.Result.IsError
	if !c.allowed && !unknownTool && !expected(response, text, http.StatusUnauthorized, http.StatusForbidden) {
		s.note(fmt.Sprintf("a call at server %d: %d %.300s", server, c.status, text))
	}
	return c
}

// expected tells whether an answer has one of the statuses, or says in the
// documented way that it can't be answered now.
func expected(r *http.Response, text []byte, statuses ...int) bool {
	for _, status := range statuses {
		if r.StatusCode == status {
			return true
		}
	}
	var problem struct{ Code string }
	return r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" &&
		json.Unmarshal(text, &problem) == nil && (problem.Code == "unavailable" || problem.Code == "state.stale")
}

func (s *storm) note(odd string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = append(s.odd, odd)
}
