package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// A connection that breaks after the server has done what was asked costs
// nothing: it is asked again, does it no second time, and answers the same.
func TestRemoteEditsAreDoneOnce(t *testing.T) {
	h := startHouse(t, serveFlags{})
	target, err := url.Parse(h.url)
	h.must(err)
	var asked atomic.Int64
	through := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			through.ServeHTTP(w, r)
			return
		}
		got := httptest.NewRecorder()
		through.ServeHTTP(got, r)
		if asked.Add(1)%2 == 1 {
			panic(http.ErrAbortHandler)
		}
		if got.Code >= 400 {
			t.Errorf("status %d: %s", got.Code, got.Body)
		}
		w.Header().Set("Content-Type", got.Header().Get("Content-Type"))
		w.WriteHeader(got.Code)
		_, _ = w.Write(got.Body.Bytes())
	}))
	defer proxy.Close()
	r := remoteKeys{newRemote(proxy.URL, keys.Secret(h.token))}

	made, err := r.Create(t.Context(), wire.CreateKey{Name: keys.Some("reader")})
	h.must(err)
	rotated, err := r.Rotate(t.Context(), made.ID, wire.RotateKey{})
	h.must(err)
	list, err := r.Keys(t.Context(), keyQuery{search: "reader"})
	h.must(err)
	if asked.Load() != 4 || list.Total != 1 || list.Keys[0].Version != rotated.Version || rotated.Version != made.Version+1 {
		t.Errorf("asked %d times, %d keys, versions %d and %d", asked.Load(), list.Total, made.Version, rotated.Version)
	}
	if s := (&house{t: t, url: h.url, token: rotated.Plaintext}).status("GET", "/api/tenant", ""); s != 403 {
		t.Errorf("the rotated key is answered %d, which is not one without permissions", s)
	}
}

// A change of what was seen is refused where somebody has changed it since.
func TestRemoteUpdateOfWhatWasSeen(t *testing.T) {
	h := startHouse(t, serveFlags{})
	r := remoteKeys{newRemote(h.url, keys.Secret(h.token))}
	made, err := r.Create(t.Context(), wire.CreateKey{Name: keys.Some("reader")})
	h.must(err)
	rename := func(version int64, name string) error {
		_, err := r.UpdateSeen(t.Context(), made.ID, version, wire.UpdateKey{Name: keys.Some(name)})
		return err
	}
	h.must(rename(made.Version, "first"))
	if err := rename(made.Version, "second"); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("of an old version: %v", err)
	}
}
