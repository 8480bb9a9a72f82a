// Package bearer turns the credential of an HTTP request into a principal.
//
// The data flow: exactly one credential is read from the headers, and the one
// kind of authenticator that it belongs to decides. A credential that fails
// never falls through to another kind, or to anything else. There are two
// kinds: the API key, and, where OIDC issuers are configured, the JWT of one of
// them, which is told by its form and comes in Authorization: Bearer alone. A
// JWT's signature is checked with keys that its issuer publishes; what it
// claims becomes a keys.SubjectClaims. Its [Resource] tells clients which
// issuers there are (RFC 9728).
//
// Neighbours: keys and keys/wire below; cmd, which hands Authenticate to the
// edges, above.
package bearer
