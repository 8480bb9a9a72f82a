package upstream

import (
	"encoding/json"
	"strings"
)

// capabilities is the part of a server's capabilities that matters here; nil is
// what it does not have.
type capabilities struct {
	Tools       *listCapability `json:"tools"`
	Prompts     *listCapability `json:"prompts"`
	Resources   *listCapability `json:"resources"`
	Completions *struct{}       `json:"completions"`
	Logging     *struct{}       `json:"logging"`
	Tasks       json.RawMessage `json:"tasks"`
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

// filter asks for the announcements that there are (2026-07-28,
// subscriptions/listen).
func (c *capabilities) filter() string {
	var asked []string
	for name, l := range map[string]*listCapability{
		"toolsListChanged": c.Tools, "promptsListChanged": c.Prompts, "resourcesListChanged": c.Resources,
	} {
		if l.changes() {
			asked = append(asked, `"`+name+`":true`)
		}
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
