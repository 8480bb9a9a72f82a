package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// call is one request being decoded and answered. It holds the request to what
// the endpoint takes, so that nothing a client says is ever ignored.
type call struct {
	r         *http.Request
	w         http.ResponseWriter
	principal keys.Principal
	words     *strings.Replacer // of the shape; nil = the domain's own
	maxBody   int64
	svc       *keys.Service
	operation string
	needs     string // the route's permission
	takes     takes
	edits     *keys.Receipt

	values  url.Values
	read    []byte // the body, once it was read
	nowhere bool   // the path names nothing that could be
}

// absent is the answer where the path names nothing that could be: what an
// unknown id would answer.
func (c *call) absent() error {
	if c.needs != anyKey && c.needs != anyone {
		if err := c.svc.Need(c.r.Context(), c.principal, c.operation, c.needs); err != nil {
			return err
		}
	}
	return keys.ErrNotFound
}

// allowed tells whether the principal has the permission that the route needs.
func (c *call) allowed() bool {
	return c.needs == anyKey || c.needs == anyone || c.principal.Can(c.needs, c.svc.Now())
}

// id is the path's id of a thing that has a UUID.
func (c *call) id() string { return c.uuid("id") }

// uuid is a UUID in the path. A malformed one is noted: it finds nothing,
// whatever the operation would look for.
func (c *call) uuid(wildcard string) string {
	id := c.r.PathValue(wildcard)
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		c.nowhere = true
	}
	return id
}

// idOrSlug is the path's id of a thing that has a slug too.
func (c *call) idOrSlug() string {
	id := c.r.PathValue("id")
	bad := func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, bad) {
		c.nowhere = true
	}
	return id
}

// name is the path's name of a preset.
func (c *call) name() string {
	name := c.r.PathValue("name")
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.nowhere = true
	}
	return name
}

// keyName is the path's name of a key, which is its handle.
func (c *call) keyName() string {
	name := c.r.PathValue("keyName")
	bad := func(r rune) bool { return r <= ' ' || r > '~' }
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, bad) {
		c.nowhere = true
	}
	return name
}

// query is a query parameter, "" where it is absent. It must be one that the
// endpoint takes.
func (c *call) query(name string) (string, error) {
	if !slices.ContainsFunc(c.takes.query, named(name)) {
		panic("rest: the endpoint does not take the parameter " + name)
	}
	if err := c.parseQuery(); err != nil {
		return "", err
	}
	values := c.values[name]
	if len(values) > 1 {
		return "", malformed("malformed_query", name+": is there more than once", policy.Problem{Field: name, Problem: "is there more than once"})
	}
	return c.values.Get(name), nil
}

func named(name string) func(param) bool {
	return func(p param) bool { return p.name == name }
}

func (c *call) parseQuery() error {
	if c.values != nil {
		return nil
	}
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return malformed("malformed_query", "the query is not well formed")
	}
	c.values = values
	return nil
}

// number is an integer parameter within its limits, or its default.
func (c *call) number(p param) (int, error) {
	text, err := c.query(p.name)
	if err != nil || text == "" && !c.values.Has(p.name) {
		return p.absent, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < p.low || n > p.high || strconv.Itoa(n) != text {
		return 0, badQuery(p.name, "must be a whole number from "+strconv.Itoa(p.low)+" to "+strconv.Itoa(p.high))
	}
	return n, nil
}

// text is a parameter of at most so many characters.
func (c *call) text(p param) (string, error) {
	text, err := c.query(p.name)
	if err == nil && utf8.RuneCountInString(text) > p.high {
		err = badQuery(p.name, "has more than "+strconv.Itoa(p.high)+" characters")
	}
	return text, err
}

// flag is a boolean parameter, false where it is absent.
func (c *call) flag(name string) (bool, error) {
	text, err := c.query(name)
	if err != nil || text == "" && !c.values.Has(name) {
		return false, err
	}
	if text != "true" && text != "false" {
		return false, badQuery(name, "must be true or false")
	}
	return text == "true", nil
}

// page is which part of a list is asked for.
type page struct{ number, limit int }

var (
	pageParam = param{name: "page", kind: "integer", low: 1, high: 1_000_000, absent: 1,
		doc: "Which page, from 1.", example: "1"}
	limitParam = param{name: "limit", kind: "integer", low: 1, high: 200, absent: 50,
		doc: "How many entries a page has.", example: "50"}
)

func (c *call) page() (page, error) {
	number, err := c.number(pageParam)
	if err != nil {
		return page{}, err
	}
	limit, err := c.number(limitParam)
	return page{number, limit}, err
}

// pages reads which page of a list is asked for.
func pages() input[page] { return from((*call).page, pageParam, limitParam) }

func (p page) bounds(total int) (from, to int) {
	from = min((p.number-1)*p.limit, total)
	return from, min(from+p.limit, total)
}

// ifMatch is the version that an If-Match asks for (RFC 9110, section 13.1.1);
// 0 where there is none, or *. Of several tags, and weak ones, which never
// match, none could be given on to the store.
func (c *call) ifMatch() (int64, error) {
	if !c.takes.ifMatch {
		panic("rest: the endpoint does not take If-Match")
	}
	header := c.r.Header.Values("If-Match")
	if len(header) == 0 {
		return 0, nil
	}
	tag := strings.TrimSpace(strings.Join(header, ","))
	if tag == "*" {
		return 0, nil
	}
	if strings.HasPrefix(tag, "W/") {
		return 0, keys.ErrVersion
	}
	inner, opened := strings.CutPrefix(tag, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	if !opened || !closed || strings.ContainsAny(inner, `",`) {
		return 0, malformed("malformed_header", `If-Match must be one entity tag, as ETag had it, or *`)
	}
	version, err := strconv.ParseInt(inner, 10, 64)
	if err != nil || version <= 0 {
		return 0, keys.ErrVersion
	}
	return version, nil
}

// etag says which version the answer is of.
func (c *call) etag(version int64) {
	c.w.Header().Set("ETag", `"`+strconv.FormatInt(version, 10)+`"`)
}

// json decodes the body strictly. One that may be left out, and is, leaves v as
// it was.
func (c *call) json(v any) error {
	if c.takes.optional && c.r.ContentLength == 0 {
		return nil
	}
	if err := c.isJSON(); err != nil {
		return err
	}
	data, err := c.body()
	if err != nil {
		return err
	}
	return policy.UnmarshalStrict(data, v)
}

func (c *call) isJSON() error {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return &fault{wire.NewProblem(http.StatusUnsupportedMediaType, "not_json", "the body must be JSON: send Content-Type: application/json")}
	}
	return c.notEncoded()
}

func (c *call) notEncoded() error {
	if encoding := c.r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return &fault{wire.NewProblem(http.StatusUnsupportedMediaType, "encoded_body", "the body must not be compressed")}
	}
	return nil
}

// body reads all of it. The time that it may take is the server's to limit.
func (c *call) body() ([]byte, error) {
	limit := max(c.maxBody, c.takes.maxBody)
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &fault{wire.NewProblem(http.StatusRequestEntityTooLarge, "too_large",
			"the body is larger than "+strconv.FormatInt(limit, 10)+" bytes")}
	case err != nil:
		return nil, malformed("malformed_body", "the body could not be read to its end")
	}
	c.read = data
	return data, nil
}

// unread refuses what the route has no use for.
func (c *call) unread() error {
	if err := c.parseQuery(); err != nil {
		return err
	}
	for name := range c.values {
		if !slices.ContainsFunc(c.takes.query, named(name)) {
			return badQuery(name, "is not a parameter of this operation")
		}
	}
	if !c.takes.ifMatch && len(c.r.Header.Values("If-Match")) > 0 {
		return malformed("malformed_header", "If-Match is not supported by this operation")
	}
	if err := c.noIdempotency(); err != nil {
		return err
	}
	if c.takes.body != nil || c.r.ContentLength == 0 {
		return nil
	}
	data, err := c.body()
	if text := bytes.TrimSpace(data); err != nil || len(text) == 0 || string(text) == "{}" {
		return err
	}
	return malformed("malformed_body", "this operation takes no body")
}
