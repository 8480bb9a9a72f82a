package resttest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is an OpenAPI document that answers are held to.
type Document struct {
	root     map[string]any
	paths    map[string]any
	mux      *http.ServeMux // finds a path's pattern as the server does
	compiler *jsonschema.Compiler

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema // by JSON pointer
	checked  int
	seen     map[string]map[int]int // by operation, then status
}

const location = "openapi.json"

// Read reads a document. Objects that it leaves open are closed here, so that a
// field that is answered and not documented is found.
func Read(text []byte) (*Document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	root, _ := value.(map[string]any)
	paths, _ := root["paths"].(map[string]any)
	if len(paths) == 0 {
		return nil, errors.New("the document has no paths")
	}
	d := &Document{
		root: root, paths: paths, mux: http.NewServeMux(), compiler: jsonschema.NewCompiler(),
		compiled: map[string]*jsonschema.Schema{}, seen: map[string]map[int]int{},
	}
	for path := range paths {
		d.mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) {})
	}
	schemas, _ := d.find("components", "schemas").(map[string]any)
	for _, one := range schemas {
		closeObject(one)
	}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(location, root); err != nil {
		return nil, fmt.Errorf("reading the document: %w", err)
	}
	return d, nil
}

func closeObject(schema any) {
	s, ok := schema.(map[string]any)
	if _, closed := s["additionalProperties"]; ok && s["properties"] != nil && !closed {
		s["additionalProperties"] = false
	}
}

// find follows names from the root, and references on the way.
func (d *Document) find(names ...string) any {
	var at any = d.root
	for _, name := range names {
		object, _ := at.(map[string]any)
		at = object[name]
		object, _ = at.(map[string]any)
		if ref, is := object["$ref"].(string); is {
			at = d.find(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return at
}

// validate holds a JSON text to the schema at the pointer, whose schemas are
// compiled once.
func (d *Document) validate(pointer string, text []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	schema := d.compiled[pointer]
	if schema == nil {
		made, err := d.compiler.Compile(location + "#" + pointer)
		if err != nil {
			return err
		}
		schema, d.compiled[pointer] = made, made
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (d *Document) saw(operation string, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked++
	if d.seen[operation] == nil {
		d.seen[operation] = map[int]int{}
	}
	d.seen[operation][status]++
}

// Checked is how many answers were held to the document and found right.
func (d *Document) Checked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.checked
}

// Unseen are the operations, by operationId, of which no answer of a success
// was checked.
func (d *Document) Unseen() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, item := range d.paths {
		for _, operation := range item.(map[string]any) {
			id, _ := operation.(map[string]any)["operationId"].(string)
			good := slices.ContainsFunc(slices.Collect(maps.Keys(d.seen[id])), func(status int) bool { return status < 300 })
			if !good {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}
