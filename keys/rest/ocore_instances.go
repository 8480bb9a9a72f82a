package rest

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func newInstance(_ *call, body wire.WriteInstance) (keys.InstanceSpec, error) {
	return body.Spec(source, 0)
}

func instanceSpec(c *call, body wire.WriteInstance) (editInstance, error) {
	version, err := c.ifMatch()
	if err != nil {
		return editInstance{}, err
	}
	spec, err := body.Spec(source, version)
	return editInstance{c.idOrSlug(), spec}, err
}

func toolsOf(c *call) (instanceTools, error) {
	at, err := c.page()
	return instanceTools{c.idOrSlug(), at}, err
}

func approval(c *call, body wire.ApproveTools) (approveTools, error) {
	tools, err := body.Approvals()
	return approveTools{c.idOrSlug(), tools}, err
}

func (o operations) wireInstance(i keys.Instance) wire.Instance {
	out := wire.InstanceOf(i)
	if o.status != nil {
		out = out.WithStatus(o.status(i.ID))
	}
	return out
}

func (o operations) oneInstance(c *call, i keys.Instance) wire.Instance {
	c.etag(i.Version)
	return o.wireInstance(i)
}

func (o operations) editedInstance(c *call, i keys.Instance) wire.EditedInstance {
	return wire.EditedInstance{Instance: o.oneInstance(c, i), Edited: c.edited()}
}

func (o operations) instanceList(_ *call, l many[keys.Instance]) wire.InstanceList {
	out := wire.InstanceList{Instances: make([]wire.Instance, len(l.items)), Total: l.total}
	for n, i := range l.items {
		out.Instances[n] = o.wireInstance(i)
	}
	return out
}

func toolList(_ *call, l many[wire.Tool]) wire.ToolList {
	return wire.ToolList{Tools: append([]wire.Tool{}, l.items...), Total: l.total}
}

func editedTools(c *call, l many[wire.Tool]) wire.EditedTools {
	return wire.EditedTools{ToolList: toolList(c, l), Edited: c.edited()}
}
