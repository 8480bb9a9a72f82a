package rest

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// pathParam is what a wildcard of a path stands for.
type pathParam struct{ doc, format, pattern, example string }

const exampleID = "0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"

// pathParams are by the wildcard, or by it and the segment before it.
var pathParams = map[string]pathParam{
	"id":           {doc: "The id.", format: "uuid", example: exampleID},
	"projects/id":  {doc: "The project's id or slug.", pattern: "^[a-z0-9-]{1,64}$", example: "web-shop"},
	"instances/id": {doc: "The instance's id or slug.", pattern: "^[a-z0-9-]{1,64}$", example: "notes"},
	"tenants/id":   {doc: "The tenant's id or slug.", pattern: "^[a-z0-9-]{1,64}$", example: "default"},
	"name":         {doc: "The preset's name.", pattern: "^[a-z0-9_-]{1,64}$", example: "search_only"},
	"ref":          {doc: "The reference that a denial carried.", pattern: "^[a-z2-7]{16}$", example: "k3v7q2m5w4xa6bzc"},
	"tenantId":     {doc: "The tenant's id or slug.", pattern: "^[a-z0-9-]{1,63}$", example: "default"},
	"orgID":        {doc: "The organization's id or slug.", pattern: "^[a-z0-9-]{1,63}$", example: "default"},
	"keyName":      {doc: "The key's name.", pattern: "^[A-Za-z0-9._-]{1,64}$", example: "support-agent"},
	"keyID":        {doc: "The key's id.", format: "uuid", example: exampleID},
}

func (d *document) parameters(s shape, r route) []parameter {
	out := []parameter{}
	before := ""
	for _, segment := range strings.Split(r.path, "/") {
		if name, is := strings.CutPrefix(segment, "{"); is {
			out = append(out, ofPath(before, strings.TrimSuffix(name, "}")))
		}
		before = segment
	}
	for _, p := range r.takes.query {
		out = append(out, p.documented())
	}
	inHeader := func(name, doc, pattern, example string) {
		out = append(out, parameter{name, "header", doc, false, &schema{Type: kinds{"string"}, Pattern: pattern}, example})
	}
	if r.needs != anyone && readsOrganization(s) {
		inHeader("X-Org-Slug", "The tenant's id or slug; needed where the credential names no tenant. Another one than the credential's is a 404.",
			"^[a-z0-9-]{1,63}$", "default")
	}
	if r.takes.ifMatch {
		inHeader("If-Match", "The ETag that was read; where the version is another by now, nothing is changed (412). `*` is any.", `^([*]|(W/)?"[^"]*")$`, `"42"`)
	}
	if r.takes.idempotent {
		inHeader(idempotencyHeader, "A text of your choice, in visible ASCII: for 10 minutes, the same request with the same text is done once and answered alike; another request with it is refused (422).", "^[!-~]{1,255}$", "b5f1c1f0-5a0b-4f0e-9a53-6a3c8f4d2e10")
	}
	return out
}

func ofPath(before, name string) parameter {
	p, there := pathParams[before+"/"+name]
	if !there {
		p = pathParams[name]
	}
	return parameter{name, "path", p.doc, true, &schema{Type: kinds{"string"}, Format: p.format, Pattern: p.pattern}, p.example}
}

// documented is a query parameter as the document has it.
func (p param) documented() parameter {
	s := &schema{Type: kinds{p.kind}, Format: p.format}
	var example any = p.example
	for _, one := range p.enum {
		s.Enum = append(s.Enum, one)
	}
	switch p.kind {
	case "integer":
		s.Minimum, s.Maximum = &p.low, &p.high
		s.Default = []byte(strconv.Itoa(p.absent))
		example, _ = strconv.Atoi(p.example)
	case "boolean":
		s.Default = []byte("false")
		example = p.example == "true"
	}
	return parameter{p.name, "query", p.doc, p.required, s, example}
}

// readsOrganization asks the shape whether a request names its tenant by header.
func readsOrganization(s shape) bool {
	const probe = "probe"
	r := &http.Request{Header: http.Header{"X-Org-Slug": {probe}}}
	return slices.Contains(s.tenants(r), probe)
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }
