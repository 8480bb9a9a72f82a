package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The methods of tasks: of 2025-11-25 (basic/utilities/tasks), and of 2026-07-28
// (extension io.modelcontextprotocol/tasks, SEP-2663). tasks/list is of neither: an
// upstream would list the tasks of all keys of the tenant, and which of them are
// whose nothing here remembers.
const (
	tasksGet    = string(mcpgo.MethodTasksGet)
	tasksResult = string(mcpgo.MethodTasksResult)
	tasksCancel = string(mcpgo.MethodTasksCancel)
	tasksUpdate = "tasks/update"
)

// task answers a request about a task, which is decided as a call of its tool is.
// An id that is none, another key's, of another era, or of a tool that is gone or
// denied takes the same way and gets the same bytes, but for the id and the
// reference.
func (g *Gateway) task(ctx context.Context, r *request, v verdict) reply {
	switch {
	case r.era == eraModern && !r.declaresTasks():
		return missingTasks(r)
	case r.msg.taskID == "":
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.taskId must be a string that names a task", nil)
	case r.msg.method == tasksUpdate && !rawjson.IsObject(rawjson.Field(r.msg.params, "inputResponses")):
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, "params.inputResponses must be an object", nil)
	case !v.allowed():
		return g.unknown(ctx, r, v)
	}
	return g.passCall(ctx, r, v)
}

// declaresTasks tells whether the client of 2026-07-28 takes tasks for answers; it
// says so with each request.
func (r *request) declaresTasks() bool {
	capabilities := rawjson.Field(r.msg.meta, mcpgo.MetaKeyClientCapabilities)
	return r.era == eraModern && rawjson.IsObject(rawjson.Field(rawjson.Field(capabilities, "extensions"), upstream.TasksExtension))
}

// missingTasks refuses what only a client that declares the extension may ask.
func missingTasks(r *request) reply {
	data := json.RawMessage(`{"requiredCapabilities":{"extensions":{"` + upstream.TasksExtension + `":{}}}}`)
	return refusal(r.era, r.msg.id, mcpgo.MISSING_REQUIRED_CLIENT_CAPABILITY,
		"Missing required client capability: declare the extension "+upstream.TasksExtension, data)
}

// ofTask is the tool that a task is of; nils when the catalog has it no more.
func (c *catalog) ofTask(ref *taskRef) (*policy.Tool, *entry) {
	if c == nil || ref == nil {
		return nil, nil
	}
	t, i := c.offers[kindTool].tools.LookupID(ref.tool)
	if t == nil || t.InstanceID != ref.instance || c.offers[kindTool].entries[i].mount == nil {
		return nil, nil
	}
	return t, &c.offers[kindTool].entries[i]
}

// performTask passes an allowed request about a task on.
//
// An upstream that begins anew may give an id a second time, to a task of another
// key. So the time at which the task was made is held against what the upstream
// says of it, and whatever tasks/get does not itself answer is asked after one.
func (g *Gateway) performTask(ctx context.Context, r *request, v verdict) (reply, string) {
	can := r.abilities()
	c := g.upstreamCall(r, v, func(each func(*request)) { each(r) })
	c.Capabilities, c.Ask = can.declaration(), g.asker(r, v, can, &lacking{})
	r.withTasks(&c, v)
	if r.msg.method != tasksGet {
		look := c
		look.Method, look.Params = tasksGet, taskParams(v.task.id)
		if _, refused, outcome := g.askTask(ctx, r, v, look); refused != nil {
			return *refused, outcome
		}
	}
	raw, refused, outcome := g.askTask(ctx, r, v, c)
	if refused != nil {
		return *refused, outcome
	}
	if r.msg.method != tasksResult { // that is a tool's own
		if refused := r.taskInput(raw); refused != nil {
			return *refused, outcomeUpstream
		}
	}
	return g.toolResult(r, replyOf(maskTask(r.msg.method, raw, r.msg.taskID)))
}

// taskKeys are the members of a task that are looked at here.
var taskKeys = []string{"task", "taskId", "createdAt", "inputRequests", "result", "_meta"}

// taskInput refuses a task that could be read in two ways, or that asks in a way
// that is not valid; nil when it does not (2026-07-28, tasks: the questions of a
// task come with it).
func (r *request) taskInput(task json.RawMessage) *reply {
	list, _ := rawjson.List(task)
	problem := strictKeys(list, taskKeys)
	if raw := rawjson.Field(task, "inputRequests"); raw != nil && problem == "" {
		requests, err := readInputRequests(raw)
		if err == nil {
			_, err = inputRequired{requests: requests}.lack(abilities{})
		}
		if err != nil {
			problem = err.Error()
		}
	}
	if problem == "" {
		return nil
	}
	bad := failure(r.msg.id, mcpgo.INTERNAL_ERROR, badInput(errors.New(problem)).Message, nil)
	return &bad
}

// askTask asks the upstream of a task once; refused is the answer when it has none.
func (g *Gateway) askTask(ctx context.Context, r *request, v verdict, c upstream.Call) (raw json.RawMessage, refused *reply, outcome string) {
	answer, err := v.entry.mount.call(ctx, c)
	no := func(answer reply, outcome string) (json.RawMessage, *reply, string) { return nil, &answer, outcome }
	switch {
	case ctx.Err() != nil:
		return no(g.canceled(r))
	case err != nil:
		return no(g.unanswered(r, v, err))
	case answer.Error != nil:
		e := maskError(answer.Error, v.task.id, r.msg.taskID)
		return no(failure(r.msg.id, e.Code, e.Message, e.Data), outcomeUpstream)
	}
	// The wait may have been long, and a tool that was taken away since has no
	// result any more.
	if problem := g.renew(ctx, r); problem != nil {
		return no(problemReply(*problem), outcomeCanceled)
	}
	now := decide(r.question(g))
	if p := keyProblem(r.principal, now.decision); p != nil {
		return no(problemReply(*p), outcomeCanceled)
	}
	if !now.allowed() {
		return no(g.unknown(ctx, r, now), "")
	}
	if born, ok := bornAt(answer.Result); c.Method == tasksGet && (!ok || !sameBirth(born, v.task.born)) {
		now.task, now.tool = nil, nil
		now.at = g.cfg.Now()
		now.decision = now.who.Grant().Decide(r.narrowing.session, nil, now.at)
		return no(g.unknown(ctx, r, now), "")
	}
	return answer.Result, nil, outcomeOK
}

// bornAt is when a task was made, in Unix seconds.
func bornAt(task json.RawMessage) (int64, bool) {
	at, err := time.Parse(time.RFC3339, rawjson.Text(rawjson.Field(task, "createdAt")))
	return at.Unix(), err == nil
}

// sameBirth allows for a store of the upstream that rounds what it first said.
func sameBirth(a, b int64) bool { return a-b <= 1 && b-a <= 1 }

// taskParams are the params of a request about one task.
func taskParams(id string) json.RawMessage {
	return rawjson.Prepend([]byte(`{}`), "taskId", rawjson.Quote(id))
}

// passTask says a request about a task to the upstream.
func (r *request) passTask(c *upstream.Call, v verdict) {
	c.Method, c.Mirror = r.msg.method, v.task.id
	c.Params = taskParams(v.task.id)
	if responses := rawjson.Field(r.msg.params, "inputResponses"); r.msg.method == tasksUpdate {
		c.Params = rawjson.Prepend(c.Params, "inputResponses", responses)
	}
}
