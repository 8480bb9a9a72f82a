// Package mcp is the server side of Model Context Protocol and the gateway to
// the mounted servers: the edge that authenticates and decides, the catalog of
// tools, the built-in tools, and the transports (streamable HTTP, SSE, stdio).
//
// The data flow of a request: a transport (streamable, sse, stdio) checks the
// credential, reads one message (envelope) and hands it with its principal,
// session and narrowing to dispatch, which asks the gate: decide, the one
// function that decides. A method that the table in methods does not classify
// is refused. tools/list is spliced from definitions that the catalog holds
// encoded; tools/call goes to the tool's mount as raw bytes and its answer
// comes back as raw bytes; the handshake, discovery, ping, the log level and
// the built-in tools go to mcp-go's server of the tenant, whose tool filter
// asks the gate again.
//
// A call that is allowed is held, in the same decision, to what its key's policy
// demands of its arguments (arguments): the raw ones, at every round that the client
// sends them. Where an instance's rules say that an argument names a project, the
// tenant's projects are known by id and slug, read anew before an edit answers.
//
// The data flow of a session of the older era over streamable HTTP: its id says
// what initialize fixed (sessionid), so a server that does not hold it takes it up
// from there (sessions). What else it has stays with the server that has it.
//
// The data flow of a task: a call that the upstream answers with a task gives the
// client an id of ours (taskid), which only its key can open; each request about the
// task opens it, is decided as a call of the task's tool, and goes to the upstream
// under the upstream's own id (task, taskcall), whose place in answers, questions and
// notifications the client's id takes (taskmask, tasknotice).
//
// The data flow of a question, which an upstream asks during a call (sampling,
// elicitation, roots): one of the older era sends a request, one of 2026-07-28
// answers input_required and wants the call again (converse). A client of the
// older era is asked on the call's own stream and answers by a response, which
// only its session takes (inquiry). One of 2026-07-28 gets input_required itself:
// the upstream's, with its state sealed (inputrequired, requeststate), or that of
// a call that waits here until the client comes again (parked, attend). Nothing
// is asked that the client did not declare (capabilities).
//
// The data flow of a change: an upstream's list or an edit of an instance makes
// a new catalog of the tenant, swapped in whole; it and every edit of a key or
// a tenant make follow look again at open streams (told of a change that they
// see, cut when their key no longer counts) and at running calls.
//
// The data flow of an update: clients subscribe to resources, each decided like a
// read, and their instance's upstream is asked once for all of them. What it tells
// is marked as due with every subscription to that uri at that instance, decided
// again, and sent on the client's stream.
//
// Neighbours: keys (the Service, principals), keys/wire (the JSON of keys and
// instances) and policy below; mcp/upstream for the connections to mounted
// servers, mcp/rawjson for the JSON of messages; cmd above. It never imports db
// or keys/rest.
package mcp
