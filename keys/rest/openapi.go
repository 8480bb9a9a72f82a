package rest

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// document is an OpenAPI 3.1 document. It is made of the tables that the server
// runs on, so that it says what the server does.
type document struct {
	OpenAPI    string                          `json:"openapi"`
	Info       info                            `json:"info"`
	Dialect    string                          `json:"jsonSchemaDialect"`
	Servers    []map[string]string             `json:"servers"`
	Tags       []tag                           `json:"tags"`
	Paths      members[members[*apiOperation]] `json:"paths"` // by path, then method
	Components components                      `json:"components"`

	schemas *schemas
}

type info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type components struct {
	SecuritySchemes members[map[string]string] `json:"securitySchemes"`
	Responses       members[*response]         `json:"responses"`
	Schemas         members[*schema]           `json:"schemas"`
}

// apiOperation is one method of one path.
type apiOperation struct {
	Tags        []string              `json:"tags"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	OperationID string                `json:"operationId"`
	Security    []map[string][]string `json:"security"`
	Parameters  []parameter           `json:"parameters,omitempty"`
	RequestBody *requestBody          `json:"requestBody,omitempty"`
	Responses   members[*response]    `json:"responses"`
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description"`
	Required    bool    `json:"required,omitempty"`
	Schema      *schema `json:"schema"`
	Example     any     `json:"example"`
}

type requestBody struct {
	Description string             `json:"description"`
	Required    bool               `json:"required"`
	Content     members[mediaType] `json:"content"`
}

type response struct {
	Ref         string             `json:"$ref,omitempty"`
	Description string             `json:"description,omitempty"`
	Headers     members[header]    `json:"headers,omitempty"`
	Content     members[mediaType] `json:"content,omitempty"`
}

type header struct {
	Description string  `json:"description"`
	Required    bool    `json:"required,omitempty"`
	Schema      *schema `json:"schema"`
	Example     any     `json:"example"`
}

type mediaType struct {
	Schema  *schema         `json:"schema"`
	Example json.RawMessage `json:"example,omitempty"`
}

const aboutAPI = "Every agent gets a key, and every key says what it may see and call. This API manages the keys, and what they are about.\n\n" +
	"Send a key as `Authorization: Bearer <key>` or as `X-API-Key: <key>`; both, and different, are refused. " +
	"Bodies are JSON and are read strictly: an unknown, repeated or wrongly cased field is an error. Whatever is sent and not known is one too: a query parameter, a body that nobody asked for. " +
	"Every path that answers to GET answers to HEAD. " +
	"In answers every field is always there, null where it is unset; fields may be added. " +
	"An `ETag` names a version; with it in `If-Match`, an update is refused when somebody else came first.\n\n" +
	"What does not exist and what belongs to another tenant answer alike, with 404. Every other method of a path answers 405."

// describe makes the document of the shapes, and of what the server says of
// itself.
func describe(shapes []shape, own []ownPage) *document {
	d := &document{
		OpenAPI: "3.1.0",
		Info:    info{Title: "Bailiwick", Version: "1.0.0", Description: aboutAPI},
		Dialect: "https://json-schema.org/draft/2020-12/schema",
		Servers: []map[string]string{{"url": "/"}},
		schemas: &schemas{types: map[string]reflect.Type{}},
	}
	d.Components.SecuritySchemes = members[map[string]string]{
		{"bearer", map[string]string{"type": "http", "scheme": "bearer", "description": "An API key, or a JWT of the configured issuer."}},
		{"apiKey", map[string]string{"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."}},
	}
	for _, s := range shapes { // answers first: see schemas.of
		for _, r := range s.routes {
			if r.answers != nil {
				d.schemas.of(r.answers, answered)
			}
			if r.instead != nil {
				d.schemas.of(r.instead, answered)
			}
			if r.refuses != nil {
				d.schemas.of(r.refuses, answered)
			}
		}
	}
	for _, s := range shapes {
		d.Tags = append(d.Tags, tag{s.name, shapeDocs[s.name].about})
		for _, r := range s.routes {
			d.addRoute(s, r)
		}
	}
	d.Tags = append(d.Tags, tag{"operations", "What the server says of itself; no credential is asked for."})
	for _, p := range own {
		d.addOwn(p)
	}
	d.Components.Schemas = d.schemas.named
	return d
}

// shapeDocs is what a document says of a shape.
var shapeDocs = map[string]struct {
	about    string
	spelling wire.Spelling
}{
	"ocore":      {"The primary API: camelCase fields, and all that there is to manage.", wire.SpellingPrimary},
	"walletcrew": {"Keys by name, below the tenant. Permissions are written `tenant.apiKey:read`.", wire.SpellingWalletcrew},
	"capydb":     {"Keys of an organization: snake_case fields, and errors that are one sentence. Permissions are written `api_keys:read`.", wire.SpellingCapydb},
}

func (d *document) addRoute(s shape, r route) {
	op := &apiOperation{Tags: []string{s.name}, Summary: r.summary, OperationID: d.operationID(s, r), Security: []map[string][]string{}}
	op.Description = "Any key that opens REST will do."
	needs := []string{}
	switch r.needs {
	case anyone:
		op.Description = "No credential is asked for."
	case anyKey:
	default:
		spelled := shapeDocs[s.name].spelling.Spell(r.needs)
		needs = []string{spelled}
		op.Description = "Needs the permission `" + spelled + "`."
	}
	if r.needs != anyone {
		op.Security = []map[string][]string{{"bearer": needs}, {"apiKey": needs}}
	}
	op.Parameters = d.parameters(s, r)
	if r.takes.body != nil {
		op.RequestBody = d.requestBody(r)
	}
	d.addResponses(op, s, r)
	d.at(r.path, r.method, op)
}

// operationID is the operation's name, made unique: by the method where two of
// a shape's do the same, else by the shape.
func (d *document) operationID(s shape, r route) string {
	taken := map[string]bool{}
	for _, path := range d.Paths {
		for _, method := range path.Value {
			taken[method.Value.OperationID] = true
		}
	}
	for _, id := range []string{r.operation, r.operation + capital(strings.ToLower(r.method)), s.name + capital(r.operation)} {
		if !taken[id] {
			return id
		}
	}
	panic("rest: no name is left for the operation " + r.operation)
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func (d *document) at(path, method string, op *apiOperation) {
	i := slices.IndexFunc(d.Paths, func(m member[members[*apiOperation]]) bool { return m.Name == path })
	if i < 0 {
		d.Paths.add(path, nil)
		i = len(d.Paths) - 1
	}
	d.Paths[i].Value.add(strings.ToLower(method), op)
}

func (d *document) requestBody(r route) *requestBody {
	u := changing
	if r.method == http.MethodPost {
		u = creating
	}
	kind := r.takes.mediaType
	if kind == "" {
		kind = "application/json"
	}
	s := d.schemas.of(r.takes.body, u)
	text := "Absent fields take their defaults."
	switch {
	case r.takes.optional:
		text = "May be left out."
	case u == changing && !r.takes.replaces:
		text = "Absent fields stay as they are; null is the default."
	}
	return &requestBody{text, !r.takes.optional, members[mediaType]{{kind, mediaType{s, d.schemas.body(s)}}}}
}

func (d *document) addResponses(op *apiOperation, s shape, r route) {
	good := &response{Description: http.StatusText(r.status)}
	if r.answers != nil {
		answer := d.schemas.of(r.answers, answered)
		good.Content = members[mediaType]{{"application/json", mediaType{answer, d.schemas.example(answer)}}}
		if _, versioned := d.schemas.resolved(answer).Properties.get("version"); versioned || r.tagged {
			good.Headers.add("ETag", header{"The version of what is answered, for If-Match.", r.instead == nil, &schema{Type: kinds{"string"}}, `"42"`})
		}
		if r.instead != nil {
			good.Content[0].Value.Schema = &schema{OneOf: []*schema{answer, d.schemas.of(r.instead, answered)}}
		}
	}
	if r.method != http.MethodGet {
		good.Headers.add(epochHeader, header{"The edit that was made, where one was: by now every replica has applied it, or decides no more.",
			false, &schema{Type: kinds{"string"}}, "42"})
	}
	op.Responses.add(strconv.Itoa(r.status), good)
	for _, status := range failures(s, r) {
		answer := d.failure(status, r.path)
		if status == http.StatusUnprocessableEntity && r.refuses != nil {
			s := d.schemas.of(r.refuses, answered)
			answer = &response{Description: errorDocs[status].about, Content: members[mediaType]{
				{"application/problem+json", mediaType{s, d.schemas.example(s)}}}}
		}
		op.Responses.add(strconv.Itoa(status), answer)
	}
}
