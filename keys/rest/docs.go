package rest

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed docs.html
var docsPage string

//go:embed docs.css
var docsStyle string

// published is the document and its page.
type published struct{ document, page *text }

// publish makes them; of the order of 20 ms, so it is done when somebody asks.
func publish(d *document) published {
	var indented bytes.Buffer
	raw, err := plainJSON(d)
	if err == nil {
		err = json.Indent(&indented, raw, "", "  ")
	}
	if err != nil { // which no configuration can bring about
		panic(fmt.Sprintf("rest: encoding the document: %v", err))
	}
	indented.WriteByte('\n')
	return published{newText("application/json", indented.Bytes(), nil), newText("text/html; charset=utf-8", docsOf(d), http.Header{
		"Content-Security-Policy": {"default-src 'none'; style-src '" + hashOf(docsStyle) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":         {"no-referrer"},
	})}
}

func hashOf(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// docsOf is the document as a page that needs nothing else.
func docsOf(d *document) []byte {
	functions := template.FuncMap{
		"style":      func() template.CSS { return template.CSS(docsStyle) },
		"prose":      prose,
		"rows":       d.rows,
		"named":      d.rowsOf,
		"kind":       kindOf,
		"component":  componentName,
		"components": componentNames,
		"limits":     limitsOf,
		"indent":     indented,
		"curl":       curl,
		"value":      func(v any) string { return fmt.Sprint(v) },
		"of":         d.operationsOf,
		"refused":    d.refused,
	}
	page := template.Must(template.New("docs").Funcs(functions).Parse(docsPage))
	var out bytes.Buffer
	if err := page.Execute(&out, d); err != nil {
		panic(fmt.Sprintf("rest: making the page of the document: %v", err))
	}
	return out.Bytes()
}

// prose is text with `code` and paragraphs.
func prose(text string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(text, "`") {
		escaped := template.HTMLEscapeString(part)
		if i%2 == 1 {
			out.WriteString("<code>" + escaped + "</code>")
			continue
		}
		out.WriteString(strings.ReplaceAll(escaped, "\n\n", "</p><p>"))
	}
	return template.HTML(out.String())
}

// docsOperation is an operation and where it is.
type docsOperation struct {
	Method, Path string
	*apiOperation
}

func (d *document) operationsOf(tag string) []docsOperation {
	var out []docsOperation
	for _, path := range d.Paths {
		for _, method := range path.Value {
			if method.Value.Tags[0] == tag {
				out = append(out, docsOperation{strings.ToUpper(method.Name), path.Name, method.Value})
			}
		}
	}
	return out
}

// docsError is one of an operation's errors.
type docsError struct{ Status, Name, About string }

func (d *document) refused(op docsOperation) []docsError {
	var out []docsError
	for _, r := range op.Responses {
		if name, is := strings.CutPrefix(r.Value.Ref, "#/components/responses/"); is {
			shared, _ := d.Components.Responses.get(name)
			out = append(out, docsError{r.Name, name, shared.Description})
		}
	}
	return out
}

// docsRow is one property of an object in a table.
type docsRow struct {
	Name   string
	Note   string // whether it must be there, where that is not what all of them do
	Schema *schema
}

func (d *document) rows(s *schema) []docsRow {
	s = d.schemas.resolved(s)
	var out []docsRow
	for _, p := range s.Properties {
		note := ""
		switch required, sent := slices.Contains(s.Required, p.Name), s.AdditionalProperties == false; {
		case sent && required:
			note = "required"
		case !sent && !required:
			note = "not always there"
		}
		out = append(out, docsRow{p.Name, note, p.Value})
	}
	return out
}

func (d *document) rowsOf(name string) []docsRow {
	s, _ := d.Components.Schemas.get(name)
	return d.rows(s)
}
