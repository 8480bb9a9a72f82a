package wire

import "github.com/bailiwick-mcp/bailiwick/keys"

// Propagation is how far an edit had come when it was answered.
type Propagation struct {
	Epoch    int64 `json:"epoch" doc:"The edit's number, as in the header Bailiwick-Epoch. What was so already is no edit: then it is that of the last one." minimum:"0" example:"42"`
	Replicas int   `json:"replicas" doc:"How many servers there were, without those that have ended since." minimum:"0" example:"3"`
	Applied  int   `json:"applied" doc:"How many of them have applied it. Any other did not confirm it for as long as it may go without, and refuses every request until it has." minimum:"0" example:"3"`
}

// Edited is what the answer to every edit has.
type Edited struct {
	Propagation Propagation `json:"propagation" doc:"How far the edit had come with this answer: no server accepts any more what it took away. Asked again under the same Idempotency-Key, it is what it was."`
}

// EditedBy is the wire form of what an edit came to.
func EditedBy(p keys.Propagation) Edited {
	return Edited{Propagation{Epoch: p.Epoch, Replicas: p.Replicas, Applied: p.Applied}}
}

// EditedKey is a key as an edit left it.
type EditedKey struct {
	Key
	Edited
}

// EditedProject is a project as an edit left it.
type EditedProject struct {
	Project
	Edited
}

// EditedInstance is an instance as an edit left it.
type EditedInstance struct {
	Instance
	Edited
}

// EditedTools are an instance's tools as an approval left them.
type EditedTools struct {
	ToolList
	Edited
}

// EditedPreset is a preset as an edit left it.
type EditedPreset struct {
	Preset
	Edited
}

// EditedTenant is a tenant as an edit left it.
type EditedTenant struct {
	Tenant
	Edited
}

// EditedImport is what became of an import that was done.
type EditedImport struct {
	ImportAnswer
	Edited
}
