package upstream

import (
	"encoding/json"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// capabilities is the part of a server's capabilities that matters here; nil is
// what it does not have.
type capabilities struct {
	Tools       *listCapability `json:"tools"`
	Prompts     *listCapability `json:"prompts"`
	Resources   *listCapability `json:"resources"`
	Completions *struct{}       `json:"completions"`
	Logging     *struct{}       `json:"logging"`
	Tasks       json.RawMessage `json:"tasks"`      // of the legacy era; later it is an extension
	Extensions  json.RawMessage `json:"extensions"` // of the modern era, by name
}

// TasksExtension is the name of the extension for tasks (2026-07-28).
const TasksExtension = "io.modelcontextprotocol/tasks"

// Offers are what an upstream offers besides its lists.
type Offers struct {
	Modern      bool // it speaks 2026-07-28
	Prompts     bool
	Resources   bool
	Subscribe   bool // to its resources
	Completions bool
	Logging     bool
	Tasks       bool // that calls of tools can be, in its era's way
	// Extensions are those that it declares, with their settings as received.
	Extensions map[string]json.RawMessage
}

// Offers is what the upstream offers now; the zero value when it is down.
func (u *Upstream) Offers() Offers {
	s := u.live.Load()
	if s == nil {
		return Offers{}
	}
	c := &s.offers
	var extensions map[string]json.RawMessage
	_ = json.Unmarshal(c.Extensions, &extensions) // odd ones are none
	_, tasks := extensions[TasksExtension]
	if !s.modern {
		tasks = rawjson.IsObject(rawjson.Field(rawjson.Field(rawjson.Field(c.Tasks, "requests"), "tools"), "call"))
	}
	return Offers{Modern: s.modern, Prompts: c.Prompts != nil, Resources: c.Resources != nil, Subscribe: c.subscribe(),
		Completions: c.Completions != nil, Logging: c.Logging != nil, Tasks: tasks, Extensions: extensions}
}

type listCapability struct {
	ListChanged bool `json:"listChanged"`
	Subscribe   bool `json:"subscribe"` // of resources
}

func (l *listCapability) changes() bool { return l != nil && l.ListChanged }

// announce says that the upstream tells when a list changes.
func (c *capabilities) announce() bool {
	return c.Tools.changes() || c.Prompts.changes() || c.Resources.changes()
}

// subscribe says that it tells when a resource changes.
func (c *capabilities) subscribe() bool { return c.Resources != nil && c.Resources.Subscribe }

// filter asks for the announcements that there are, and for updates of these
// resources (2026-07-28, subscriptions/listen).
func (c *capabilities) filter(uris []string) string {
	var asked []string
	for name, l := range map[string]*listCapability{
		"toolsListChanged": c.Tools, "promptsListChanged": c.Prompts, "resourcesListChanged": c.Resources,
	} {
		if l.changes() {
			asked = append(asked, `"`+name+`":true`)
		}
	}
	if len(uris) > 0 {
		quoted := make([]string, len(uris))
		for i, uri := range uris {
			quoted[i] = string(rawjson.Quote(uri))
		}
		asked = append(asked, `"resourceSubscriptions":[`+strings.Join(quoted, ",")+`]`)
	}
	return "{" + strings.Join(asked, ",") + "}"
}

// listed are the kinds that the upstream lists. Tools are asked for whatever it
// says: some servers have them and do not say so.
func (c *capabilities) listed() kindSet {
	set := setOf(KindTool)
	set.add(KindPrompt, c.Prompts != nil)
	set.add(KindResource, c.Resources != nil)
	set.add(KindTemplate, c.Resources != nil)
	return set
}
