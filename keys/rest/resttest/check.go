package resttest

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method  string
	Target  string // the path as it was sent, with its query where it had one
	Request []byte // the body; nil = not known, and not looked at
	Status  int
	Header  http.Header
	Body    []byte
}

// Conform reads the document, and answers what fails the test for every
// exchange that is not as the document says.
func Conform(t testing.TB, document []byte) func(Exchange) {
	t.Helper()
	d, err := Read(document)
	if err != nil {
		t.Fatal(err)
	}
	return func(x Exchange) {
		t.Helper()
		if err := d.Check(x); err != nil {
			t.Error(err)
		}
	}
}

// Check finds the operation and holds the answer to it: the status, the media
// type, the headers and the body must be documented ones. A path that is not
// documented may only answer 404, another method of one that is only 405. Where
// the server accepted the request, its body must be one that the document
// allows.
func (d *Document) Check(x Exchange) error {
	err := d.check(x)
	if err != nil {
		return fmt.Errorf("%s %s, %d: not as the document says: %w", x.Method, x.Target, x.Status, err)
	}
	return nil
}

func (d *Document) check(x Exchange) error {
	target, err := url.ParseRequestURI(x.Target)
	if err != nil {
		return err
	}
	template := d.template(target)
	if template == "" {
		return d.refusal(x, target.Path, http.StatusNotFound, "the path is not documented")
	}
	method := strings.ToLower(x.Method)
	if method == "head" {
		method = "get"
	}
	operation, _ := d.find("paths", template, method).(map[string]any)
	if operation == nil {
		return d.refusal(x, target.Path, http.StatusMethodNotAllowed, "the method is not documented")
	}
	status := strconv.Itoa(x.Status)
	at := []string{"paths", template, method, "responses", status}
	response, _ := d.find(at...).(map[string]any)
	if response == nil {
		return fmt.Errorf("the status is not documented: %s", x.Body)
	}
	if err := d.headers(response, x.Header); err != nil {
		return err
	}
	if err := d.content(x, at, response); err != nil {
		return err
	}
	if x.Status < 300 && len(x.Request) > 0 {
		if err := d.request([]string{"paths", template, method, "requestBody", "content"}, x.Request); err != nil {
			return fmt.Errorf("the request was accepted: %w", err)
		}
	}
	id, _ := operation["operationId"].(string)
	d.saw(id, x.Status)
	return nil
}

// request holds a body to the media type that the operation takes; of JSON
// Lines, each line.
func (d *Document) request(at []string, body []byte) error {
	content, _ := d.find(at...).(map[string]any)
	if content["application/json"] != nil {
		return d.validate(pointer(append(at, "application/json", "schema")...), body)
	}
	if content["application/x-ndjson"] != nil {
		for line := range bytes.Lines(body) {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			if err := d.validate(pointer(append(at, "application/x-ndjson", "schema")...), line); err != nil {
				return err
			}
		}
	}
	return nil
}

// template is the documented path that the request is for, "" for none: one
// that is not written the one way that it has is none.
func (d *Document) template(target *url.URL) string {
	if path.Clean(target.Path) != target.Path {
		return ""
	}
	_, pattern := d.mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: target.Path, RawPath: target.RawPath}})
	return pattern
}

// refusal is the answer to what there is no operation for.
func (d *Document) refusal(x Exchange, path string, want int, why string) error {
	if x.Status != want {
		return fmt.Errorf("%s, so it must answer %d: %s", why, want, x.Body)
	}
	if x.Method == http.MethodHead && len(x.Body) == 0 {
		d.saw("", x.Status)
		return nil
	}
	kind, schema := "application/problem+json", "Problem"
	if strings.HasPrefix(path, "/v1/") {
		kind, schema = "application/json", "Fault"
	}
	if got := mediaType(x.Header); got != kind {
		return fmt.Errorf("the media type is %q, want %s", got, kind)
	}
	if err := d.validate(pointer("components", "schemas", schema), x.Body); err != nil {
		return err
	}
	d.saw("", x.Status)
	return nil
}

// noted are the headers that must be documented where they are answered.
var noted = []string{"ETag", "Retry-After", "Location", "Allow", "WWW-Authenticate", "Link"}

func (d *Document) headers(response map[string]any, got http.Header) error {
	documented, _ := response["headers"].(map[string]any)
	for name, header := range documented {
		if required, _ := header.(map[string]any)["required"].(bool); required && got.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	for _, name := range noted {
		if _, known := documented[name]; !known && got.Get(name) != "" {
			return fmt.Errorf("the header %s is not documented", name)
		}
	}
	return nil
}

func (d *Document) content(x Exchange, at []string, response map[string]any) error {
	content, _ := response["content"].(map[string]any)
	if content == nil {
		if len(x.Body) > 0 {
			return fmt.Errorf("no body is documented: %s", x.Body)
		}
		return nil
	}
	kind := mediaType(x.Header)
	if _, known := content[kind]; !known {
		return fmt.Errorf("the media type %q is not documented", kind)
	}
	if x.Method == http.MethodHead || kind == "text/html" {
		return nil
	}
	if len(x.Body) == 0 {
		return errors.New("there is no body")
	}
	if ref, is := d.unresolved(at)["$ref"].(string); is {
		at = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	err := d.validate(pointer(slices.Concat(at, []string{"content", kind, "schema"})...), x.Body)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, x.Body)
	}
	return nil
}

// unresolved is what stands at the names, itself maybe a reference.
func (d *Document) unresolved(names []string) map[string]any {
	parent, _ := d.find(names[:len(names)-1]...).(map[string]any)
	value, _ := parent[names[len(names)-1]].(map[string]any)
	return value
}

func mediaType(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return h.Get("Content-Type")
	}
	return kind
}

// pointer is a JSON pointer as a URL's fragment.
func pointer(names ...string) string {
	var out strings.Builder
	for _, name := range names {
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		out.WriteString("/" + url.PathEscape(escaped))
	}
	return out.String()
}
