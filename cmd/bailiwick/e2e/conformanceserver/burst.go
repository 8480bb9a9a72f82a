package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// burst answers calls of test_tool_with_progress in front of mcp-go's handler,
// with all progress and the result in one write: mcp-go may lose a
// notification that the answer follows at once, and what stands in front of
// this server must not.
type burst struct{ next http.Handler }

func (b burst) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var request rpcRequest
	if r.Method != http.MethodPost || json.Unmarshal(body, &request) != nil || request.Method != "tools/call" ||
		request.Params.Name != "test_tool_with_progress" || request.Params.Meta.ProgressToken == nil {
		b.next.ServeHTTP(w, r)
		return
	}
	var events bytes.Buffer
	event := func(message object) {
		message["jsonrpc"] = "2.0"
		data, _ := json.Marshal(message)
		fmt.Fprintf(&events, "event: message\ndata: %s\n\n", data)
	}
	for _, progress := range []int{0, 50, 100} {
		event(object{"method": "notifications/progress", "params": object{
			"progressToken": request.Params.Meta.ProgressToken, "progress": progress, "total": 100}})
	}
	result := object{"content": []object{{"type": "text", "text": "done"}}}
	if r.Header.Get("Mcp-Protocol-Version") == modern {
		result["resultType"] = "complete"
	}
	event(object{"id": request.ID, "result": result})
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write(events.Bytes())
}
