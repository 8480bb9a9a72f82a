// Package guard puts the tools of somebody's own mcp-go server behind Bailiwick
// keys, inside their program: each request is authenticated by a key, each tool is
// listed and called only if the key's policy allows it, and what was denied or
// called is in the audit trail. The keys are those of a store that `bailiwick keys`
// manages beside the program (or bailiwick serve over REST, on the same store).
//
// The data flow: [Open] opens the store, registers the server in it as an instance
// (a slug that the program chooses, transport "embedded"), and mounts it in memory
// behind a gateway of package mcp, which serves the clients ([Guard.Serve],
// [Guard.Handler], [Guard.ServeStdio]). So the gate is the very one of bailiwick
// serve, and all that follows from being an instance holds: a policy's
// mcpInstanceIds, mcpProjectIds and patterns (shop/list_orders, list_*), bailiwick
// explain, list_changed, sessions, both eras of the protocol, a key's limits. A
// wrapper around the server's own handler, or a filter in it, would have to follow
// its transports, methods and JSON where they go; what is in memory behind the gate
// is reached by no other way.
//
// What a tool is to policies follows from its annotations, for the program's own
// are trusted: readOnlyHint true reads, else destructiveHint false writes, else it
// is destructive. mcpgo.NewTool sets destructiveHint, and a tool that says both is
// destructive, so a tool that reads needs WithReadOnlyHintAnnotation(true) and
// WithDestructiveHintAnnotation(false). [Config.Tools] comes first and gives
// categories, too. Prompts,
// resources and templates count as tools that only read. Completions, tasks and
// subscriptions are decided as calls of what they are about; a method that the gate
// does not classify is refused. Definitions are the program's word and wait for no
// approval when they change.
//
// Clients see the server's names as they are. In policies, explanations and the
// audit trail a tool is <slug>/<name>. No other instance of the store is served, and
// none of Bailiwick's own tools; another program on the store does not serve this one.
//
// A process that guards decides, so it is a replica: what a revoked key, or any
// narrowing edit, took away is refused here once the edit has answered, and
// everything is refused when the store was not reached for [Config.MaxStaleness].
// That work is done by Serve, Run and ServeStdio; without one of them a Handler
// lists and calls nothing. Audit entries wait in memory while the store is
// away, and calls are refused when too many do.
//
// What a server behind the gate does without: instructions for clients, the
// client's own HTTP request (a tool sees the gateway's; [KeyID] tells who called),
// and questions by mcp-go's RequestElicitation and RequestSampling. A tool asks by
// returning input_required (mcpserver.InputRequestBuilder), which reaches clients of
// both eras.
//
// Neighbours: store, keys, keys/bearer and mcp below; the programs of others above.
package guard
