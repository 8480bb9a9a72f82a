package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// record is what the one log line of a request says beside the request itself.
// It holds ids; no token, header, query or path gets into it, for a client may
// put its key anywhere.
type record struct{ who, tenantID, refused string }

type recordKey struct{}

// recorded notes who asks in the request's record, and has refusals counted.
func recorded(count func(error), authenticate func(*http.Request) (keys.Principal, keys.Secret, error)) func(*http.Request) (keys.Principal, keys.Secret, error) {
	return func(r *http.Request) (keys.Principal, keys.Secret, error) {
		p, secret, err := authenticate(r)
		count(err)
		rec, ok := r.Context().Value(recordKey{}).(*record)
		switch {
		case ok && err == nil:
			rec.who, rec.tenantID = p.ID(), p.TenantID()
		case ok && errors.Is(err, keys.ErrBadCredential):
			rec.refused = err.Error() // which holds nothing of the credential
		}
		return p, secret, err
	}
}

// logRequests writes one line for each request that has been answered.
func logRequests(log *zap.Logger, stats *requestStats, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, rec, counted := time.Now(), &record{}, &countingWriter{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), recordKey{}, rec))
		next.ServeHTTP(counted, r)
		stats.answered(r.Pattern, counted.status(), time.Since(start))
		level := zapcore.InfoLevel
		if r.Pattern == "/livez" || r.Pattern == "/readyz" || r.Pattern == metricsPath {
			level = zapcore.DebugLevel
		}
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		log.Log(level, "request", zap.String("method", method(r)), zap.String("route", r.Pattern),
			zap.Int("status", counted.status()), zap.Int64("bytes", counted.bytes),
			zap.Float64("ms", float64(time.Since(start).Microseconds())/1000), zap.String("remote", host),
			zap.String("tenant", rec.tenantID), zap.String("key", rec.who), zap.String("refused", rec.refused))
	})
}

// method is the request's own only where it is a usual one: any text may stand there.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// countingWriter counts what goes out. It passes streaming on.
type countingWriter struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (w *countingWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *countingWriter) Write(data []byte) (int, error) {
	n, err := w.ResponseWriter.Write(data)
	w.bytes += int64(n)
	return n, err
}

// Flush is for handlers that look for http.Flusher.
func (w *countingWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// Unwrap is for http.ResponseController.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}
