package main

import (
	"context"
	"encoding/json"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// One red pixel, and a WAV file with one sample.
const (
	pngImage = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	wavAudio = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

// addContentTools adds the tools that answer one kind of content each.
func addContentTools(s *mcpserver.MCPServer) {
	text := mcpgo.NewTextContent("This is a simple text response for testing.")
	image := mcpgo.NewImageContent(pngImage, "image/png")
	audio := mcpgo.NewAudioContent(wavAudio, "audio/wav")
	embedded := mcpgo.NewEmbeddedResource(mcpgo.TextResourceContents{
		URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content."})
	mixed := mcpgo.NewEmbeddedResource(mcpgo.TextResourceContents{
		URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`})

	addTool(s, "test_simple_text", "Answers text", answering(text))
	addTool(s, "test_image_content", "Answers an image", answering(image))
	addTool(s, "test_audio_content", "Answers a sound", answering(audio))
	addTool(s, "test_embedded_resource", "Answers an embedded resource", answering(embedded))
	addTool(s, "test_multiple_content_types", "Answers text, an image and a resource",
		answering(mcpgo.NewTextContent("Multiple content types test:"), image, mixed))
	addTool(s, "test_error_handling", "Fails, as a tool fails",
		func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			return mcpgo.NewToolResultError("This tool intentionally returns an error for testing"), nil
		})
}

func answering(content ...mcpgo.Content) mcpserver.ToolHandlerFunc {
	return func(context.Context, mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return &mcpgo.CallToolResult{Content: content}, nil
	}
}

// addSchemaTools adds the tools whose definitions are what is tested: every
// keyword of the schema must reach the client, and an argument that is
// mirrored as a header must be compared with it.
func addSchemaTools(s *mcpserver.MCPServer) {
	s.AddTool(mcpgo.NewToolWithRawSchema("json_schema_2020_12_tool", "Has a schema of JSON Schema 2020-12",
		json.RawMessage(`{
			"$schema": "https://json-schema.org/draft/2020-12/schema",
			"type": "object",
			"$defs": {"address": {"$anchor": "addressDef", "type": "object",
				"properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
			"properties": {
				"name": {"type": "string"},
				"address": {"$ref": "#/$defs/address"},
				"contactMethod": {"type": "string", "enum": ["phone", "email"]},
				"phone": {"type": "string"},
				"email": {"type": "string"}
			},
			"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
			"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
			"then": {"required": ["phone"]},
			"else": {"required": ["email"]},
			"additionalProperties": false
		}`)), answering(mcpgo.NewTextContent("ok")))
	s.AddTool(mcpgo.NewToolWithRawSchema("test_header_argument", "Has an argument that is mirrored as a header",
		json.RawMessage(`{"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}, "required": ["region"]}`)),
		answering(mcpgo.NewTextContent("ok")))
}
