package mcp

import (
	"context"
	"encoding/json"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	maxNoticed = 256 // tasks of a session that it is told of; the oldest is forgotten
	maxSaid    = 64  // messages that wait for a stream
)

// taskTable remembers which legacy session made a task, as long as both last and in
// this process only, so that notifications/tasks/status of the one connection that
// all keys share reach that session and no other. What it does not know is dropped:
// polling is what the protocol counts on (2025-11-25, basic/utilities/tasks).
type taskTable struct {
	mu   sync.Mutex
	made map[taskKey]*noticedTask
	of   map[*session][]taskKey // oldest first
}

// taskKey is a task as its upstream names it.
type taskKey struct{ instance, id string }

// noticedTask is a task and who is to be told of it.
type noticedTask struct {
	ref       taskRef
	id        string // that the client knows
	session   *session
	tenant    *tenant
	principal keys.Principal
	narrowed  *policy.Session
}

func newTaskTable() *taskTable {
	return &taskTable{made: map[taskKey]*noticedTask{}, of: map[*session][]taskKey{}}
}

// add notes a task that a session made.
func (t *taskTable) add(r *request, ref taskRef, id string) {
	if r.session == nil {
		return
	}
	key := taskKey{ref.instance, ref.id}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[r.session] == nil {
		context.AfterFunc(r.session.ctx, func() { t.forget(r.session) })
	}
	if old := t.made[key]; old == nil || old.session != r.session {
		t.of[r.session] = append(t.of[r.session], key)
	}
	t.made[key] = &noticedTask{ref: ref, id: id, session: r.session, tenant: r.tenant,
		principal: r.principal, narrowed: r.narrowing.session}
	if all := t.of[r.session]; len(all) > maxNoticed {
		t.drop(r.session, all[0])
		t.of[r.session] = all[1:]
	}
}

// drop forgets a task, unless it is another session's by now. t.mu is held.
func (t *taskTable) drop(s *session, key taskKey) {
	if one := t.made[key]; one != nil && one.session == s {
		delete(t.made, key)
	}
}

// forget forgets the tasks of a session that has ended.
func (t *taskTable) forget(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range t.of[s] {
		t.drop(s, key)
	}
	delete(t.of, s)
}

func (t *taskTable) find(instance, id string) *noticedTask {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made[taskKey{instance, id}]
}

// taskStatus passes notifications/tasks/status on to the session that made the
// task, as long as its key may see the task.
func (g *Gateway) taskStatus(m *mount, params json.RawMessage) {
	one := g.tasks.find(m.instance.Load().ID, rawjson.Text(rawjson.Field(params, "taskId")))
	born, ok := bornAt(params)
	if one == nil || !ok || !sameBirth(born, one.ref.born) {
		return
	}
	p, err := g.svc.Refresh(one.session.ctx, one.principal)
	if err != nil {
		return
	}
	q := question{principal: p, session: one.narrowed, catalog: one.tenant.catalog.Load(),
		method: tasksGet, era: one.ref.era, task: &one.ref, now: g.cfg.Now()}
	if v := decide(q); !v.allowed() || v.entry.mount != m {
		return
	}
	g.streams.say(one.session, notification(mcpgo.MethodNotificationTasksStatus, maskTask(tasksGet, params, one.id)))
}

// say has a session's streams send a message; without a stream it is lost.
func (t *streamTable) say(s *session, message []byte) {
	for _, st := range t.all() {
		if st.session != s {
			continue
		}
		select {
		case st.said <- message:
		default:
		}
	}
}
