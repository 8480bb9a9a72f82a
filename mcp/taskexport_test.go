package mcp

import "github.com/bailiwick-mcp/bailiwick/keys"

// TaskRef is what an id of a task says.
type TaskRef struct {
	Modern             bool
	Born               int64
	Instance, Tool, ID string
}

func (r TaskRef) inner() taskRef {
	e := eraLegacy
	if r.Modern {
		e = eraModern
	}
	return taskRef{era: e, born: r.Born, instance: r.Instance, tool: r.Tool, id: r.ID}
}

// TaskIDs are makers and openers of ids of one service.
type TaskIDs struct{ inner *taskIDs }

// NewTaskIDs is ready for use.
func NewTaskIDs(svc *keys.Service) TaskIDs { return TaskIDs{newTaskIDs(svc)} }

// ID makes the id that a principal gets of a task.
func (t TaskIDs) ID(p keys.Principal, ref TaskRef) string { return t.inner.id(p, ref.inner()) }

// Open is what an id says to a principal.
func (t TaskIDs) Open(p keys.Principal, id string) (TaskRef, bool) {
	r := t.inner.open(p, id)
	if r == nil {
		return TaskRef{}, false
	}
	return TaskRef{r.era == eraModern, r.born, r.instance, r.tool, r.id}, true
}
