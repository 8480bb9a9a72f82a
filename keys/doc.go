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
// Principal with a compiled [policy.Grant]; the edge decides with that. A key's
// draft policy is compiled beside it ([Principal.Draft]): what it would have
// decided goes into the audit trail alone, where [Service.Shadow] counts it.
//
// What leaves a secret behind leaves it encrypted: the credentials of upstreams,
// the answers to requests with an idempotency key ([Idempotency], 10 minutes),
// the arguments of calls that wait for a person ([CallApproval], a day), and the
// key that waits for a device to collect it ([Login], 10 minutes). A key's own
// token is never kept, only its hash; so tokens of other systems can be imported
// by theirs ([Service.ImportKeys]).
//
// Neighbours: policy below; db (the stores), mcp and keys/rest (the edges) above.
package keys
