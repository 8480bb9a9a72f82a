package main

import (
	"net/http"
	"sync/atomic"
)

// closeWhileDraining has every answer say that its connection closes, while the
// server drains. Balancers and clients keep connections for later requests: one
// that goes out just when the server closes the connection is lost, and who sent it
// can't know whether it was taken. So they are emptied while the server still
// serves, each behind an answer, where nothing can be on its way. Idle ones are left
// alone until the end: nobody who heeds readiness sends on them any more.
//
// It is asked when the answer begins: what began before the drain may end in it.
func closeWhileDraining(draining *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := &drainingWriter{ResponseWriter: w, draining: draining}
		next.ServeHTTP(d, r)
		d.begin() // an answer that nothing was written of
	})
}

type drainingWriter struct {
	http.ResponseWriter
	draining *atomic.Bool
	begun    bool
}

func (w *drainingWriter) begin() {
	// HTTP/2 says the same by GOAWAY, which the server makes of the header.
	if !w.begun && w.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	w.begun = true
}

func (w *drainingWriter) WriteHeader(code int) {
	w.begin()
	w.ResponseWriter.WriteHeader(code)
}

func (w *drainingWriter) Write(data []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(data)
}

// Flush is for handlers that look for http.Flusher.
func (w *drainingWriter) Flush() {
	w.begin()
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *drainingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
