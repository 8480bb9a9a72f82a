package rest

import (
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// highestVersion is the highest integer that all JSON readers read exactly.
const highestVersion = 1<<53 - 1

var (
	toolParam = param{name: "tool", kind: "string", doc: "The tool, prompt, resource or template: by its name as listed, or as <instance>/<name or uri>. Without it, all that is on offer.",
		example: "notes__read_note"}
	atParam = param{name: "at", kind: "string", format: "date-time", doc: "As of this time, for a key that expires; now, where it is left out.",
		example: "2026-01-31T12:00:00Z"}
	versionParam = param{name: "version", kind: "integer", low: 1, high: highestVersion,
		doc: "The key in this earlier version, as the audit trail has it; all else is as it is now.", example: "42"}
	fromVersionParam = param{name: "fromVersion", kind: "integer", low: 1, high: highestVersion,
		doc: "What has changed since this version of the key.", example: "17"}
	againstParam = param{name: "against", kind: "string", high: 64, doc: "What is different for this other key, by id or handle.", example: "support-agent"}

	explainParams = []param{toolParam, atParam, versionParam, fromVersionParam, againstParam}
)

func keyToExplain(c *call) (r explanation, err error) {
	at, err := c.query(atParam.name)
	if err == nil {
		r.about.At, err = queriedTime(atParam.name, at)
	}
	if err != nil {
		return r, err
	}
	version, err := c.number(versionParam)
	if err != nil {
		return r, err
	}
	from, err := c.number(fromVersionParam)
	if err != nil {
		return r, err
	}
	against, err := c.text(againstParam)
	if err != nil {
		return r, err
	}
	if r.tool, err = c.query(toolParam.name); err != nil {
		return r, err
	}
	r.about.Key, r.about.Version = c.id(), int64(version)
	if from != 0 {
		r.from = &keys.Question{Key: r.about.Key, Version: int64(from), At: r.about.At}
	}
	if against != "" {
		r.to = &keys.Question{Key: against, At: r.about.At}
	}
	switch {
	case r.tool == "" && c.values.Has(toolParam.name):
		return r, badQuery(toolParam.name, "must be a name as listed, or <instance>/<name or uri>; leave it out for all of them")
	case against == "" && c.values.Has(againstParam.name):
		return r, badQuery(againstParam.name, "must be the id or the handle of a key")
	case r.from != nil && r.to != nil:
		return r, badQuery(againstParam.name, "does not go together with fromVersion: keep one of them")
	case r.tool != "" && (r.from != nil || r.to != nil):
		return r, badQuery(toolParam.name, "does not go together with fromVersion or against, which compare all tools: leave it out")
	}
	return r, nil
}

func draftToExplain(_ *call, body wire.ExplainPolicy) (r explanation, err error) {
	if r.about, err = body.Question(); err != nil {
		return r, err
	}
	r.tool, r.key = body.Tool.Value, "key"
	return r, nil
}

func explained(_ *call, e wire.Explained) wire.Explained { return e }
