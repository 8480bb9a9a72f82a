// Package rest serves the management API over HTTP.
//
// The data flow of a request: the route is found; the credential becomes a
// principal (where a route asks for none, the principal is nobody); the tenant
// that the request names must be the principal's, and the key's scope must open
// REST; the route's decode reads path, query, headers and body (whatever it
// leaves unread is an error); one operation does the work; the route's encode
// answers. Every error goes through one table.
//
// An operation (operations.go) is written once. A [shape] is a table of routes
// around the operations, with its own paths, field names and error bodies; the
// primary one is in ocore.go, the others in walletcrew.go, where a key is known
// by its handle, and capydb.go. What an operation refuses is said in the shape's
// words (words.go). A new endpoint is one operation and one line in each shape
// that has it.
//
// Neighbours: keys and keys/wire below; cmd above. It never imports keys/bearer,
// mcp or db: what it needs of them comes as functions in [Config].
package rest
