package rest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

func TestDocumentGolden(t *testing.T) {
	const golden = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(golden, published(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published(), want) {
		t.Errorf("the document differs from %s: run go test -update, and look at what clients will see", golden)
	}
}

// openAPI is a document as these tests look at it.
type openAPI struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas   map[string]jsonSchema
		Responses map[string]struct{ Description string }
	}
}

type operation struct {
	Tags                              []string
	Summary, Description, OperationID string
	Security                          []map[string][]string
	Parameters                        []struct {
		Name, In, Description string
		Example               any
		Required              bool
		Schema                jsonSchema
	}
	RequestBody *struct {
		Description string
		Content     map[string]struct {
			Schema  jsonSchema
			Example json.RawMessage
		}
	}
	Responses map[string]struct {
		Ref         string `json:"$ref"`
		Description string
	}
}

type jsonSchema struct {
	Ref                          string `json:"$ref"`
	Type                         any
	Description, Format, Pattern string
	Enum, Examples               []any
	Maximum, MaxLength, MaxItems *int
	MaxProperties                *int
	Properties                   map[string]jsonSchema
	Items, PropertyNames         *jsonSchema
	AdditionalProperties         json.RawMessage
	Required                     []string
}

func readDocument(t *testing.T) openAPI {
	t.Helper()
	var d openAPI
	if err := json.Unmarshal(published(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every property says what it is, and what a client sends has its limits.
func TestPropertiesAreDocumented(t *testing.T) {
	properties := 0
	for name, s := range readDocument(t).Components.Schemas {
		sent := string(s.AdditionalProperties) == "false"
		for field, p := range s.Properties {
			properties++
			at := name + "." + field
			if p.Description == "" {
				t.Errorf("%s has no description: tag it doc", at)
			}
			if len(p.Examples) == 0 {
				t.Errorf("%s has no example: tag it example", at)
			}
			if sent {
				unlimited(at, &p, t.Errorf)
			}
		}
	}
	if properties < 150 {
		t.Errorf("only %d properties", properties)
	}
}

// unlimited reports what a client could send any amount of.
func unlimited(at string, s *jsonSchema, report func(string, ...any)) {
	is := func(kind string) bool {
		list, several := s.Type.([]any)
		return s.Type == kind || several && slices.Contains(list, any(kind))
	}
	closed := func(s *jsonSchema) bool { return s.Enum != nil || s.Pattern != "" || s.Format != "" }
	switch {
	case is("integer") && s.Maximum == nil:
		report("%s has no maximum", at)
	case is("string") && !closed(s) && s.MaxLength == nil:
		report("%s has no limit: tag it maxLength, pattern, format or enum", at)
	case is("array") && s.MaxItems == nil && !(s.Items != nil && closed(s.Items)):
		report("%s has no limit: tag it maxItems", at)
	case is("object") && s.MaxProperties == nil:
		report("%s has no limit: tag it maxProperties", at)
	}
	if s.Items != nil {
		unlimited(at+"[]", s.Items, report)
	}
	var inner jsonSchema
	if json.Unmarshal(s.AdditionalProperties, &inner) == nil && inner.Type != nil {
		unlimited(at+"{}", &inner, report)
	}
}

func TestOperationsAreDocumented(t *testing.T) {
	d := readDocument(t)
	ids := map[string]bool{}
	operations := 0
	for path, item := range d.Paths {
		for method, op := range item {
			operations++
			at := method + " " + path
			if op.Summary == "" || op.Description == "" || op.OperationID == "" || ids[op.OperationID] || len(op.Tags) != 1 {
				t.Errorf("%s: summary %q, description %q, operation id %q, tags %v", at, op.Summary, op.Description, op.OperationID, op.Tags)
			}
			ids[op.OperationID] = true
			if op.Security == nil {
				t.Errorf("%s: says nothing of credentials", at)
			}
			in := 0
			for _, p := range op.Parameters {
				if p.Description == "" || p.Example == nil || p.Example == "" {
					t.Errorf("%s: the parameter %s has no description or no example", at, p.Name)
				}
				if p.In == "path" {
					in++
				}
			}
			if want := strings.Count(path, "{"); in != want {
				t.Errorf("%s: %d parameters in the path, want %d", at, in, want)
			}
			if op.RequestBody != nil {
				for _, content := range op.RequestBody.Content {
					if len(content.Example) < len(`{"a":1}`) {
						t.Errorf("%s: the body has no example", at)
					}
				}
			}
			for status, r := range op.Responses {
				name := strings.TrimPrefix(r.Ref, "#/components/responses/")
				if r.Description == "" && d.Components.Responses[name].Description == "" {
					t.Errorf("%s: %s is not described", at, status)
				}
			}
		}
	}
	if want := len(rest.Routes()) + 4; operations != want {
		t.Errorf("%d operations, want %d", operations, want)
	}
}

// What needs a permission says so, as its shape spells it, and what needs none
// asks for no credential.
func TestPermissionsAreDocumented(t *testing.T) {
	d := readDocument(t)
	get := d.Paths["/api/api-keys"]["get"]
	if !strings.Contains(get.Description, "`view:api-keys`") || len(get.Security) != 2 || get.Security[0]["bearer"][0] != "view:api-keys" {
		t.Errorf("%+v", get)
	}
	if live := d.Paths["/livez"]["get"]; len(live.Security) != 0 || live.Tags[0] != "operations" {
		t.Errorf("%+v", live)
	}
	for status, want := range map[string]bool{"200": true, "400": true, "401": true, "403": true, "404": true, "409": true,
		"412": true, "413": true, "415": true, "422": true, "500": true, "503": true, "429": true, "201": false} {
		if _, there := d.Paths["/api/api-keys/{id}"]["put"].Responses[status]; there != want {
			t.Errorf("%s is there: %t", status, there)
		}
	}
}

// What is required, and what may be null, is as the server has it.
func TestBodiesAreDocumented(t *testing.T) {
	schemas := readDocument(t).Components.Schemas
	for name, want := range map[string]string{
		"CreateKey": "name", "UpdateKey": "", "CreateInstance": "slug transport", "UpdateInstance": "", "CreatePreset": "name permissions maxEffect",
		"UpdatePreset": "permissions maxEffect", "CreateProject": "name", "ToolRuleInput": "match", "ToolRule": "match", "RotateKey": "",
	} {
		if got := strings.Join(schemas[name].Required, " "); got != want || schemas[name].Properties == nil {
			t.Errorf("%s requires %q, want %q", name, got, want)
		}
	}
	if key := schemas["Key"]; len(key.Required) != len(key.Properties) || key.AdditionalProperties != nil {
		t.Errorf("of an answer every field is there: %v", key.Required)
	}
	for field, want := range map[string]string{"name": "string", "handle": "[string null]", "mcpProjectIds": "[array null]", "mcpActive": "[boolean null]"} {
		if got := strings.Trim(strings.ReplaceAll(jsonText(t, schemas["CreateKey"].Properties[field].Type), `"`, ""), " "); got != strings.ReplaceAll(want, " ", ",") {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

// What a field that is left out means is the route's to say, not the method's:
// in the walletcrew shape a change replaces.
func TestAbsentFieldsAreDocumented(t *testing.T) {
	d := readDocument(t)
	for at, want := range map[string]string{
		"post /api/api-keys":                          "Absent fields take their defaults.",
		"put /api/api-keys/{id}":                      "Absent fields stay as they are; null is the default.",
		"put /api/{tenantId}/admin/apiKeys/{keyName}": "Absent fields take their defaults.",
		"delete /api/api-keys/{id}":                   "May be left out.",
	} {
		method, path, _ := strings.Cut(at, " ")
		if body := d.Paths[path][method].RequestBody; body == nil || body.Description != want {
			t.Errorf("%s: %+v, want %q", at, body, want)
		}
	}
}

// A tenant is named to what acts in one.
func TestOrganizationHeaderIsDocumented(t *testing.T) {
	d := readDocument(t)
	for at, want := range map[string]bool{
		"get /api/api-keys": true, "get /v1/me": true, "post /v1/cli/login/sessions/{id}/approve": true,
		"post /v1/cli/login/sessions": false, "get /v1/cli/login/sessions/{id}": false,
	} {
		method, path, _ := strings.Cut(at, " ")
		got := false
		for _, p := range d.Paths[path][method].Parameters {
			got = got || p.Name == "X-Org-Slug"
		}
		if got != want {
			t.Errorf("%s takes X-Org-Slug: %t", at, got)
		}
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
