package mcp

import (
	"net/http"
	"time"
)

// writePart is how many bytes must be taken within the limit of a write.
const writePart = 64 << 10

// patientWriter gives up a client that does not read: without that, whoever
// asks and never takes the answer holds it, and a place among the calls, for
// good. A large answer goes out in parts, each with the whole time, so that a
// slow line is not taken for a dead one.
type patientWriter struct {
	http.ResponseWriter
	rc    *http.ResponseController
	limit time.Duration
}

func (g *Gateway) patient(w http.ResponseWriter) *patientWriter {
	return &patientWriter{w, http.NewResponseController(w), g.cfg.WriteLimit}
}

// wait begins the time of the next write, where the server can.
func (w *patientWriter) wait() { _ = w.rc.SetWriteDeadline(time.Now().Add(w.limit)) }

func (w *patientWriter) Write(b []byte) (written int, err error) {
	for {
		w.wait()
		n, err := w.ResponseWriter.Write(b[written:min(len(b), written+writePart)])
		if written += n; err != nil || written == len(b) {
			return written, err
		}
	}
}
