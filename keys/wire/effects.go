package wire

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Effects are what a change of a key would do. Nothing of it is done.
type Effects struct {
	KeyID      string         `json:"keyId" doc:"The key." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyVersion int64          `json:"keyVersion" doc:"The version of the key that it was tried on." minimum:"1" example:"42"`
	Fields     []string       `json:"fields" doc:"The key's fields that would have another value; none = nothing would change." example:"[\"mcpReadOnly\"]"`
	Added      []OfferEffect  `json:"added" doc:"What is on offer now and the key would gain, by kind and name."`
	Removed    []OfferEffect  `json:"removed" doc:"What is on offer now and the key would lose, by kind and name."`
	Children   int            `json:"children" doc:"How many live keys below it would gain or lose something with it; of the keys below, 256 are looked at." minimum:"0" example:"0"`
	Partial    bool           `json:"partial" doc:"Whether added, removed and children are only about what the asking key may use itself, because it has neither view:audit nor view:instances." example:"false"`
	Days       int            `json:"days" doc:"How many days of the audit trail were looked at." minimum:"0" maximum:"365" example:"30"`
	Denied     *[]UsageEffect `json:"newlyDenied" doc:"Recorded requests of this key and the keys below it that were allowed, would be allowed without the change, and would be denied with it, put together by key and tool, most requests first; null without view:audit. They are decided as of now. Only what is in the audit trail is there: the server can be told to record a part of the calls (--audit-sample), and how long to keep it. What a session had narrowed, and what the arguments of a call were, is not looked at."`
	Allowed    *[]UsageEffect `json:"newlyAllowed" doc:"In the same way, requests that were denied, would be denied without the change, and would be allowed with it. Requests refused because the key was paused or had expired name no tool, and are not there; null without view:audit."`
	Unjudged   *int           `json:"notInCatalog" doc:"How many recorded requests name what is not on offer any more, or was read without being listed, so that nothing can be said of them; null without view:audit." minimum:"0" example:"0"`
	Truncated  bool           `json:"truncated" doc:"Whether there was more than is looked at: 256 keys below this one, 10,000 groups of alike requests of one key, 1000 entries in newlyDenied or newlyAllowed." example:"false"`
}

// OfferEffect is a tool, prompt, resource or template that a key gains or loses.
type OfferEffect struct {
	Kind     string   `json:"kind" doc:"What it is." enum:"tool,prompt,resource,template" example:"tool"`
	ID       string   `json:"id" doc:"It as <instance>/<name or uri>." example:"notes/delete_note"`
	Name     string   `json:"name" doc:"The name that clients see." example:"notes__delete_note"`
	Category string   `json:"category" doc:"What it is about." example:"tools"`
	Effect   string   `json:"effect" doc:"What calling it may do." enum:"read,write,destructive" example:"destructive"`
	Failed   []string `json:"failed" doc:"The rules that fail with the change, of what is lost; without it, of what is gained." example:"[\"readonly\"]"`
}

// UsageEffect are alike requests of one key that would be decided otherwise.
type UsageEffect struct {
	KeyID    string         `json:"keyId" doc:"The key that asked: the changed one, or one below it." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Handle   string         `json:"handle" doc:"That key's handle." example:"note-taker"`
	Kind     string         `json:"kind" doc:"What was asked for." enum:"tool,prompt,resource,template" example:"tool"`
	Tool     string         `json:"tool" doc:"The name that clients see." example:"notes__delete_note"`
	ID       string         `json:"id" doc:"It as <instance>/<name or uri>." example:"notes/delete_note"`
	Count    int            `json:"count" doc:"How many requests." minimum:"1" example:"3"`
	LastAt   time.Time      `json:"lastAt" doc:"When the newest was." example:"2026-01-31T12:00:00Z"`
	Failed   []string       `json:"failed" doc:"The rules that deny it with the change; in newlyAllowed, without it." example:"[\"readonly\"]"`
	Examples []UsageExample `json:"examples" doc:"The newest three; none of the entries after the first 50."`
}

// UsageExample is one recorded request.
type UsageExample struct {
	Time    time.Time `json:"time" doc:"When it was." example:"2026-01-31T12:00:00Z"`
	EventID string    `json:"eventId" doc:"Its id in the audit trail." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Ref     *string   `json:"ref" doc:"The reference that the denial carried." example:"null"`
}

// EffectsOf is the wire form of what was found in so many days.
func EffectsOf(e keys.Effects, days int) Effects {
	out := Effects{KeyID: e.Key.ID, KeyVersion: e.Key.Version, Fields: list(e.Fields), Added: each(e.Added, offerEffectOf),
		Removed: each(e.Removed, offerEffectOf), Children: e.Children, Partial: e.Partial, Days: days, Truncated: e.Truncated}
	if e.Replayed {
		denied, allowed := each(e.NewlyDenied, usageEffectOf), each(e.NewlyAllowed, usageEffectOf)
		out.Denied, out.Allowed, out.Unjudged = &denied, &allowed, &e.NotInCatalog
	}
	return out
}

func offerEffectOf(e keys.OfferEffect) OfferEffect {
	return OfferEffect{Kind: e.Kind, ID: e.Tool.ID, Name: e.Tool.Name, Category: e.Tool.Category,
		Effect: e.Tool.Effect.String(), Failed: each(e.Failed, policy.Rule.String)}
}

func usageEffectOf(e keys.UseEffect) UsageEffect {
	return UsageEffect{KeyID: e.Key.ID, Handle: e.Key.Handle, Kind: e.Kind, Tool: e.Tool.Name, ID: e.Tool.ID, Count: e.Count,
		LastAt: e.Last(), Failed: each(e.Failed, policy.Rule.String), Examples: each(e.Examples, usageExampleOf)}
}

func usageExampleOf(e keys.AuditEntry) UsageExample {
	return UsageExample{Time: e.Time, EventID: e.ID, Ref: optional(e.Ref)}
}
