package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// openAPIProblems is what is wrong with a document by the schema of OpenAPI 3.1.
func openAPIProblems(t *testing.T, text []byte) (out []string) {
	t.Helper()
	silent := datamodel.NewDocumentConfiguration()
	silent.Logger = slog.New(slog.DiscardHandler)
	doc, err := libopenapi.NewDocumentWithConfiguration(text, silent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = doc.BuildV3Model(); err != nil { // a reference that leads nowhere
		out = append(out, err.Error())
	}
	_, problems := schema_validation.ValidateOpenAPIDocument(doc)
	for _, p := range problems {
		out = append(out, p.Message+": "+p.Reason)
	}
	return out
}

// schemaProblems is what is wrong with its schemas, and the examples beside
// them, by JSON Schema.
func schemaProblems(t *testing.T, text []byte) (out []string) {
	t.Helper()
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", root); err != nil {
		t.Fatal(err)
	}
	schemas, examples := 0, 0
	walk(root, "", func(pointer string, schema map[string]any, beside []any) {
		schemas++
		compiled, err := compiler.Compile("openapi.json#" + pointer)
		if err != nil {
			out = append(out, err.Error())
			return
		}
		own, _ := schema["examples"].([]any)
		for _, example := range append(own, beside...) {
			examples++
			if err := compiled.Validate(example); err != nil {
				out = append(out, fmt.Sprintf("the example %v: %v", example, err))
			}
		}
	})
	if schemas < 300 || examples < 300 {
		t.Errorf("only %d schemas with %d examples were looked at", schemas, examples)
	}
	return out
}

// walk visits every schema: those with a name, those of media types, parameters
// and headers (with the example that stands beside), and their properties.
func walk(at any, pointer string, visit func(pointer string, schema map[string]any, beside []any)) {
	list, _ := at.([]any)
	for i, one := range list {
		walk(one, fmt.Sprintf("%s/%d", pointer, i), visit)
	}
	object, _ := at.(map[string]any)
	for name, value := range object {
		below := pointer + "/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
		schema, is := value.(map[string]any)
		named := strings.HasSuffix(pointer, "/schemas") || strings.HasSuffix(pointer, "/properties")
		switch {
		case name == "example" || name == "examples" || name == "default":
			continue
		case is && name == "schema":
			var beside []any
			if example, there := object["example"]; there {
				beside = []any{example}
			}
			visit(below, schema, beside)
		case is && named:
			visit(below, schema, nil)
		}
		walk(value, below, visit)
	}
}

func TestDocumentIsValid(t *testing.T) {
	for _, p := range append(openAPIProblems(t, published()), schemaProblems(t, published())...) {
		t.Error(p)
	}
	for name, broken := range map[string][2]string{
		"no title":          {`"title": "Bailiwick",`, ``},
		"place":             {`"in": "header",`, `"in": "body",`},
		"dead reference":    {`"$ref": "#/components/schemas/KeyList"`, `"$ref": "#/components/schemas/Nothing"`},
		"unknown type":      {`"type": "integer"`, `"type": "int"`},
		"required is text":  {`"required": true`, `"required": "yes"`},
		"length below zero": {`"minLength": 1`, `"minLength": -1`},
		"example":           {`"example": "default"`, `"example": "Default!"`},
		"unknown field":     {`"operationId": "listKeys",`, `"operationId": "listKeys", "permission": "x",`},
	} {
		text := bytes.Replace(published(), []byte(broken[0]), []byte(broken[1]), 1)
		if bytes.Equal(text, published()) {
			t.Errorf("%s: there is nothing to break", name)
		}
		if !json.Valid(text) {
			t.Errorf("%s: it is no JSON any more", name)
		}
		if len(openAPIProblems(t, text)) == 0 && len(schemaProblems(t, text)) == 0 {
			t.Errorf("%s: nothing is found", name)
		}
	}
}
