// Package keys is the domain: tenants, projects, instances, presets, keys,
// principals and audit entries, the [Service] that is the only way to change
// them, and the [Store] contract that a database fulfils.
//
// The data flow of a change: an edge (REST, MCP, command line) turns a
// credential into a [Principal] and calls a Service method with it; the method
// checks the principal's permission, opens one edit on the Store, reads what
// it changes inside it, checks the resulting thing (no escalation, limits),
// writes it together with its audit entry, and answers with domain values.
//
// The data flow of a request: [Service.Authenticate] turns a token into a
// Principal with a compiled [policy.Grant]; the edge decides with that.
//
// Neighbours: policy below; db (the stores), mcp and keys/rest (the edges) above.
package keys
