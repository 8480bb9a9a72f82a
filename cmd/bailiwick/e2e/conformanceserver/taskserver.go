package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

const (
	modern         = "2026-07-28"
	tasksExtension = "io.modelcontextprotocol/tasks"
)

// taskServer is the tasks extension (SEP-2663), which mcp-go does not have, in
// front of mcp-go's handler: it takes tasks/* and the calls that become tasks
// in revision 2026-07-28, and leaves everything else.
type taskServer struct {
	next  http.Handler
	mu    sync.Mutex
	tasks map[string]*task
}

type (
	rpcRequest struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params callParams      `json:"params"`
	}
	callParams struct {
		Name           string                     `json:"name"`
		TaskID         string                     `json:"taskId"`
		Arguments      object                     `json:"arguments"`
		InputResponses map[string]json.RawMessage `json:"inputResponses"`
		Meta           struct {
			ProgressToken json.RawMessage `json:"progressToken"`
			Capabilities  struct {
				Extensions map[string]json.RawMessage `json:"extensions"`
			} `json:"io.modelcontextprotocol/clientCapabilities"`
		} `json:"_meta"`
	}
)

// knowsTasks reports whether the client declared the extension.
func (r rpcRequest) knowsTasks() bool {
	_, ok := r.Params.Meta.Capabilities.Extensions[tasksExtension]
	return ok
}

func (s *taskServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var request rpcRequest
	if r.Header.Get("Mcp-Protocol-Version") != modern || json.Unmarshal(body, &request) != nil || r.Header.Get("Mcp-Method") != request.Method {
		s.next.ServeHTTP(w, r)
		return
	}
	switch request.Method {
	case "tools/call":
		s.call(w, r, request)
	case "tasks/get", "tasks/update", "tasks/cancel":
		s.about(w, r, request)
	default:
		s.next.ServeHTTP(w, r)
	}
}

// call begins a task where the tool and the client can.
func (s *taskServer) call(w http.ResponseWriter, r *http.Request, request rpcRequest) {
	do, isJob := jobs[request.Params.Name]
	asksFirst := request.Params.Name == "test_tool_with_task" && request.Params.InputResponses["user_name"] == nil
	switch {
	case !isJob || asksFirst || r.Header.Get("Mcp-Name") != request.Params.Name:
		s.next.ServeHTTP(w, r)
	case request.knowsTasks():
		t := begin(do, request.Params)
		view := t.view("task", false)
		s.mu.Lock()
		s.tasks[t.id] = t
		s.mu.Unlock()
		reply(w, http.StatusOK, request, "result", view)
	case request.Params.Name == taskOnly:
		refuse(w, request, mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs tasks", needsTasks)
	default:
		s.next.ServeHTTP(w, r)
	}
}

var needsTasks = object{"requiredCapabilities": object{"extensions": object{tasksExtension: object{}}}}

// about answers what is asked about one task.
func (s *taskServer) about(w http.ResponseWriter, r *http.Request, request rpcRequest) {
	s.mu.Lock()
	t := s.tasks[request.Params.TaskID]
	s.mu.Unlock()
	switch {
	case r.Header.Get("Mcp-Name") != request.Params.TaskID:
		refuse(w, request, mcpgo.HEADER_MISMATCH, "Mcp-Name is not the task", nil)
		return
	case !request.knowsTasks():
		refuse(w, request, mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY, "tasks were not declared", needsTasks)
		return
	case t == nil:
		refuse(w, request, mcpgo.INVALID_PARAMS, "no such task", nil)
		return
	}
	result := object{"resultType": "complete"}
	switch request.Method {
	case "tasks/get":
		result = t.view("complete", true)
	case "tasks/update":
		t.answer(request.Params.InputResponses)
	case "tasks/cancel":
		t.cancel()
	}
	reply(w, http.StatusOK, request, "result", result)
}

func refuse(w http.ResponseWriter, request rpcRequest, code int, message string, data object) {
	failure := object{"code": code, "message": message}
	if data != nil {
		failure["data"] = data
	}
	reply(w, http.StatusBadRequest, request, "error", failure)
}

func reply(w http.ResponseWriter, status int, request rpcRequest, kind string, value object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"jsonrpc": "2.0", "id": request.ID, kind: value})
}
