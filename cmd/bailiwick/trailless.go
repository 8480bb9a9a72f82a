package main

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// trailless is a store that keeps no calls and no decisions. It is for `run`,
// where nobody can ask for them: its one key has no permission to, the store ends
// with the process, and it would grow for as long as that lives.
type trailless struct{ *db.DB }

func (trailless) AppendAudit(context.Context, []keys.AuditEntry) error { return nil }
