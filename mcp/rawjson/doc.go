// Package rawjson reads and splices JSON objects as raw bytes: what a message
// says is found in it, and a member is added, changed or left out, while every
// other byte stays as it was received.
//
// It is here instead of encoding/json, which decides too little and changes too
// much for messages that are passed on: it scans a text twice, matches keys
// regardless of case, hides that a key is there twice, and loses the spelling of
// numbers and strings when it encodes them again.
//
// Everything read is checked against RFC 8259 in the same pass, the whole text,
// with the nesting limit of encoding/json (10,000); the tests hold it against
// json.Valid. Like it, it lets pass what is no valid UTF-8 inside strings, which
// whoever receives a message refuses once, and halves of surrogate pairs. Keys
// are compared exactly, after decoding.
//
// Slices that are handed out are pieces of the input without spare capacity, so
// that appending to one cannot touch what stands behind it.
//
// Neighbours: mcp reads its clients' messages with it, mcp/upstream those of the
// mounted servers. It imports only the standard library.
package rawjson
