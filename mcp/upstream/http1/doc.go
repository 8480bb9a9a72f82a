// Package http1 is a client of HTTP/1.1 in clear text (RFC 9112) that answers in the
// goroutine that asks. The standard library's transport has two goroutines for each
// connection, which hand every request and answer over; next door, that costs more
// than the request does. Requests are written and answers are read by the standard
// library's own code.
package http1
