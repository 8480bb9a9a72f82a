package mcp

import (
	"encoding/json"
	"net/http"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

const (
	typeTask = "task" // of a result that is a task (SEP-2663)

	taskRequired = string(mcpgo.TaskSupportRequired)
	taskOptional = string(mcpgo.TaskSupportOptional)
)

// makesTask tells whether a client of 2025-11-25 wants its call to be a task. In
// 2026-07-28 the server decides, and params.task says nothing.
func (r *request) makesTask() bool {
	return r.era == eraLegacy && r.msg.method == string(mcpgo.MethodToolsCall) && r.msg.task != nil
}

// openTask is the task that a request names; nil when it is none of the
// principal's, or one of the other era.
func (g *Gateway) openTask(r *request) *taskRef {
	ref := g.taskIDs.open(r.principal, r.msg.taskID)
	if ref == nil || ref.era != r.era {
		return nil
	}
	return ref
}

// taskRefusal says why an allowed call can't be, or must be, a task; nil when it
// may go on. Tasks are of one era: between a client of the one and an upstream of
// the other there are none, for neither can be told what the other means.
func taskRefusal(r *request, v verdict) *reply {
	if r.msg.method != string(mcpgo.MethodToolsCall) {
		return nil
	}
	wanted := r.makesTask()
	if wanted && !rawjson.IsObject(r.msg.task) {
		bad := refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.task must be an object", nil)
		return &bad
	}
	able := v.entry.tasks == taskRequired || v.entry.tasks == taskOptional
	if wanted && !able {
		return noTask(r, v, "its execution.taskSupport does not offer it")
	}
	m := v.entry.mount
	if !able || m == nil || m.up == nil || m.up.Status().State != upstream.StateReady {
		return nil // one that is down is told of by the call
	}
	offers := m.up.Offers()
	mixed := offers.Modern != (r.era == eraModern)
	switch {
	case wanted && mixed:
		return noTask(r, v, "its instance speaks 2026-07-28, where the server decides what becomes a task")
	case wanted && !offers.Tasks:
		return noTask(r, v, "its instance offers no tasks")
	case mixed && v.entry.tasks == taskRequired:
		return needsTask(r, v)
	}
	return nil
}

// noTask refuses what 2025-11-25 refuses so (basic/utilities/tasks, Tool-Level
// Negotiation).
func noTask(r *request, v verdict, why string) *reply {
	no := failure(r.msg.id, mcpgo.METHOD_NOT_FOUND, "Tool "+v.target.name+" can't be called as a task: "+why+". Call it without params.task.", nil)
	return &no
}

// needsTask refuses a call of a tool that only runs as a task, to a client of the
// other era than its upstream's.
func needsTask(r *request, v verdict) *reply {
	version, code := "2026-07-28 with the extension "+upstream.TasksExtension, mcpgo.METHOD_NOT_FOUND
	if r.era == eraModern {
		version, code = "2025-11-25 with a session", mcpgo.INVALID_PARAMS
	}
	no := failure(r.msg.id, code, "Tool "+v.target.name+" only runs as a task, and its instance only has tasks of another protocol version: use a client of "+version+".", nil)
	return &no
}

// onlyAsTask tells whether a modern upstream refused a legacy client because it can
// only answer with a task.
func onlyAsTask(r *request, e *upstream.Error) bool {
	if r.era != eraLegacy || e.Code != mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY {
		return false
	}
	needed := rawjson.Field(rawjson.Field(e.Data, "requiredCapabilities"), "extensions")
	return rawjson.Field(needed, upstream.TasksExtension) != nil
}

// takeTasks tells a modern upstream that the client takes tasks, where it said so.
func (r *request) takeTasks(c *upstream.Call) {
	if !r.declaresTasks() || r.msg.method != string(mcpgo.MethodToolsCall) && methods[r.msg.method].class != classTask {
		return
	}
	if c.Capabilities == nil {
		c.Capabilities = json.RawMessage(`{}`)
	}
	extensions := rawjson.Field(c.Capabilities, "extensions")
	if !rawjson.IsObject(extensions) {
		extensions = json.RawMessage(`{}`)
	}
	if rawjson.Field(extensions, upstream.TasksExtension) == nil {
		c.Capabilities = edited(c.Capabilities, func(key string, value []byte) []byte {
			if key == "extensions" {
				return nil
			}
			return value
		})
		c.Capabilities = rawjson.Prepend(c.Capabilities, "extensions", rawjson.Prepend(extensions, upstream.TasksExtension, []byte(`{}`)))
	}
	if r.msg.method == string(mcpgo.MethodToolsCall) {
		c.Types = append(c.Types, typeTask)
	}
}

// withTasks is to be called when all else of a call is set: it tells the upstream
// that the client takes tasks, and has what it says and asks during the call name
// the task as the client knows it.
func (r *request) withTasks(c *upstream.Call, v verdict) {
	r.takeTasks(c)
	switch {
	case v.task != nil:
		maskCall(c, v.task.id, r.msg.taskID)
	case r.makesTask():
		maskCall(c, "", "") // the client knows no id yet
	}
}

// madeTask tells whether an answer to a call is a task instead of its result.
func (r *request) madeTask(answer upstream.Reply) bool {
	if r.era == eraModern {
		return answer.Type == typeTask
	}
	return r.makesTask() && rawjson.IsObject(rawjson.Field(answer.Result, "task"))
}

// taskMade answers with a task under the id that it has for this client.
func (g *Gateway) taskMade(r *request, v verdict, raw json.RawMessage) (reply, string) {
	made := raw
	if r.era == eraLegacy {
		made = rawjson.Field(raw, "task")
	}
	if refused := r.taskInput(made); refused != nil {
		return *refused, outcomeUpstream
	}
	i := v.entry.mount.instance.Load()
	born, ok := bornAt(made)
	ref := taskRef{era: r.era, born: born, instance: i.ID, tool: v.tool.ID, id: rawjson.Text(rawjson.Field(made, "taskId"))}
	if !ok || ref.id == "" || len(ref.id) > maxUpstreamID {
		return failure(r.msg.id, mcpgo.INTERNAL_ERROR, unreachable(i.Slug, upstream.ErrGarbage), nil), outcomeUpstream
	}
	id := g.taskIDs.id(r.principal, ref)
	raw = maskTask(r.msg.method, raw, id)
	if r.era == eraModern {
		return result(r.msg.id, finished(raw, typeTask, r.tenant.info)), outcomeOK
	}
	g.tasks.add(r, ref, id)
	return result(r.msg.id, raw), outcomeOK
}

// checkTaskHeader holds Mcp-Name against the task of a request (2026-07-28, tasks,
// Routing Headers), which mcp-go (v1.2.1) does not; nil when they agree.
func checkTaskHeader(m *message, header http.Header) *reply {
	if of := methods[m.method]; of.class != classTask || of.eras&eraModern == 0 {
		return nil
	}
	switch name, ok := mcpgo.DecodeHeaderValue(header.Get(mcpgo.HeaderName)); {
	case header.Get(mcpgo.HeaderName) == "":
		return badHeader(m, mcpgo.HeaderName+" header is required: the value of params.taskId")
	case !ok || name != m.taskID:
		return badHeader(m, mcpgo.HeaderName+" header does not match params.taskId")
	}
	return nil
}

// tasksOfEra leaves of what mcp-go's server declares of tasks what is true of the
// protocol version that it answers in: to 2025-11-25 a capability, which came with
// that version, and from 2026-07-28 on an extension.
func tasksOfEra(method string, raw json.RawMessage) json.RawMessage {
	drop := map[string]bool{}
	switch method {
	case string(mcpgo.MethodInitialize):
		drop["extensions"] = true
		drop["tasks"] = rawjson.Text(rawjson.Field(raw, "protocolVersion")) != mcpgo.ProtocolVersion20251125
	case string(mcpgo.MethodServerDiscover):
		drop["tasks"] = true
	default:
		return raw
	}
	return edited(raw, func(key string, value []byte) []byte {
		if key != "capabilities" {
			return value
		}
		return edited(value, func(key string, value []byte) []byte {
			if drop[key] {
				return nil
			}
			return value
		})
	})
}
