// Package wire holds the JSON forms of the domain in the primary (camelCase)
// shape: what REST, the built-in MCP tools and the command line read and write.
// Keys have two more forms, for the two other shapes of REST: KeyDefinition
// (walletcrew) and OrganizationKey (capydb), with their own [Spelling] of
// permissions.
//
// The data flow: an edge decodes a body with [policy.UnmarshalStrict] into one
// of the request types here, and its method turns that into the domain's
// request (a fault of a value is a *keys.InvalidError, one of the JSON itself
// the decoder's *policy.SyntaxError). Domain values go out through the KeyOf,
// ProjectOf, ... functions. Secrets leave in [Issued] alone; an instance's
// environment and headers never do.
//
// Every field of an answer is always there: null where it is unset, and for
// the three nullable lists null (no limit) and [] (nothing) stay different.
//
// Neighbours: keys and policy below; mcp, keys/rest and cmd above.
package wire
