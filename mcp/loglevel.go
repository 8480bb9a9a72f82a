package mcp

import (
	"slices"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// levels in rising order (RFC 5424, reversed).
var levels = []mcpgo.LoggingLevel{
	mcpgo.LoggingLevelDebug, mcpgo.LoggingLevelInfo, mcpgo.LoggingLevelNotice, mcpgo.LoggingLevelWarning,
	mcpgo.LoggingLevelError, mcpgo.LoggingLevelCritical, mcpgo.LoggingLevelAlert, mcpgo.LoggingLevelEmergency,
}

// severity is a level's place, -1 for an unknown one.
func severity(level string) int { return slices.Index(levels, mcpgo.LoggingLevel(level)) }

// logLevel is the least severity that the client wants to hear of during this
// request. In the older era a client that set none hears what servers mostly say
// unasked, and not what others asked for; in 2026-07-28 nothing is sent unless the
// request says a level.
func (r *request) logLevel() (least int, wanted bool) {
	if r.era == eraModern {
		least = severity(rawjson.Text(rawjson.Field(r.msg.meta, mcpgo.MetaKeyLogLevel)))
		return least, least >= 0
	}
	if r.session != nil {
		if level := r.session.logLevel.Load(); level != nil {
			return severity(string(*level)), true
		}
	}
	return severity(string(mcpgo.LoggingLevelInfo)), true
}

// reservedMeta tells the protocol's own keys of _meta.
func reservedMeta(key string) bool { return strings.HasPrefix(key, "io.modelcontextprotocol/") }
