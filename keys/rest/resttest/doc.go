// Package resttest holds what a server answers to the OpenAPI document that it
// publishes: for tests, of this repository's packages and of whole servers.
//
// The data flow: [Read] the document once; hand every request and its answer to
// [Document.Check]; at the end, [Document.Checked] and [Document.Unseen] tell
// how much was looked at. [Conform] is that for one test.
//
// Neighbours: none. It knows the document, and nothing of the code behind it.
package resttest
