package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// ownPage is what the server says of itself, to anyone.
type ownPage struct {
	path, operation, summary string
	answers                  reflect.Type // nil = mediaType says it all
	mediaType                string
	fails                    []int
	serve                    http.HandlerFunc
}

// ownPages are all of them, those among them that show the document itself.
func (h *Handler) ownPages() []ownPage {
	const json = "application/json"
	return []ownPage{
		{"/livez", "live", "Tell whether the process lives", reflect.TypeFor[wire.Health](), json, nil, h.live},
		{"/readyz", "ready", "Tell whether the server should get requests", reflect.TypeFor[wire.Health](), json, []int{503}, h.ready},
		{"/openapi.json", "getDocument", "Get this document", nil, json, []int{403}, func(w http.ResponseWriter, r *http.Request) { h.published().document.serve(w, r) }},
		{"/docs", "getDocs", "Read this document as a page", nil, "text/html", []int{403}, func(w http.ResponseWriter, r *http.Request) { h.published().page.serve(w, r) }},
	}
}

func (h *Handler) live(w http.ResponseWriter, _ *http.Request) {
	_ = answer(w, http.StatusOK, wire.Health{Status: "ok"})
}

func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	if err := h.cfg.Ready(r.Context()); err != nil {
		h.cfg.Log.Warn("not ready", zap.Error(err))
		wire.NewProblem(http.StatusServiceUnavailable, "not_ready", "the server is not ready: "+whyNot(err)).Answer(w)
		return
	}
	_ = answer(w, http.StatusOK, wire.Health{Status: "ready"})
}

// whyNot is what may be told of it, to anyone.
func whyNot(err error) string {
	var told interface{ NotReady() string }
	if errors.As(err, &told) {
		return told.NotReady()
	}
	return "try again"
}

// text is an answer that stays the same as long as the server runs.
type text struct {
	mediaType, etag string
	headers         http.Header
	body            []byte
}

func newText(mediaType string, body []byte, headers http.Header) *text {
	sum := sha256.Sum256(body)
	return &text{mediaType, `"` + hex.EncodeToString(sum[:16]) + `"`, headers, body}
}

func (t *text) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, values := range t.headers {
		h[name] = values
	}
	h.Set("ETag", t.etag)
	h.Set("Cache-Control", "no-cache") // ask again, and be told that it is the same
	h.Set("X-Content-Type-Options", "nosniff")
	if named := r.Header.Values("If-None-Match"); slices.ContainsFunc(strings.Split(strings.Join(named, ","), ","), t.is) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", t.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(t.body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(t.body)
	}
}

// is compares weakly (RFC 9110, section 13.1.2).
func (t *text) is(tag string) bool {
	tag = strings.TrimSpace(tag)
	return tag == "*" || strings.TrimPrefix(tag, "W/") == t.etag
}

func (d *document) addOwn(p ownPage) {
	op := &apiOperation{Tags: []string{"operations"}, Summary: p.summary, Description: "No credential is asked for.",
		OperationID: p.operation, Security: []map[string][]string{}}
	media := mediaType{Schema: &schema{Type: kinds{"object"}}}
	switch {
	case p.answers != nil:
		media.Schema = d.schemas.of(p.answers, answered)
		media.Example = d.schemas.example(media.Schema)
	case p.mediaType == "text/html":
		media.Schema = &schema{Type: kinds{"string"}}
	}
	good := &response{Description: "OK", Content: members[mediaType]{{p.mediaType, media}}}
	op.Responses.add("200", good)
	if p.answers == nil {
		tag := &schema{Type: kinds{"string"}}
		named := members[header]{{"ETag", header{"Names this text, for If-None-Match.", true, tag, `"1f0c"`}}}
		good.Headers = named
		op.Parameters = []parameter{{"If-None-Match", "header", "The ETag of what you have; where it is still the same, it is not sent again.", false, tag, `"1f0c"`}}
		op.Responses.add("304", &response{Description: "It is still the same.", Headers: named})
	}
	for _, status := range p.fails {
		op.Responses.add(strconv.Itoa(status), d.failure(status, p.path))
	}
	d.at(p.path, http.MethodGet, op)
}
