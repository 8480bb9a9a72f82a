package main

import (
	"context"
	"fmt"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

func addResources(s *mcpserver.MCPServer) {
	addText := func(uri, name, text string) {
		s.AddResource(mcpgo.NewResource(uri, name, mcpgo.WithMIMEType("text/plain")),
			reading(mcpgo.TextResourceContents{URI: uri, MIMEType: "text/plain", Text: text}))
	}
	addText("test://static-text", "static-text", "This is the content of the static text resource.")
	addText("test://watched-resource", "watched-resource", "This resource can be watched.")
	s.AddResource(mcpgo.NewResource("test://static-binary", "static-binary", mcpgo.WithMIMEType("image/png")),
		reading(mcpgo.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: pngImage}))
	s.AddResourceTemplate(mcpgo.NewResourceTemplate("test://template/{id}/data", "template", mcpgo.WithTemplateMIMEType("application/json")),
		func(_ context.Context, request mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(request.Params.URI, "test://template/"), "/data")
			return []mcpgo.ResourceContents{mcpgo.TextResourceContents{URI: request.Params.URI, MIMEType: "application/json",
				Text: fmt.Sprintf(`{"id":%q,"templateTest":true,"data":%q}`, id, "Data for ID: "+id)}}, nil
		})
}

func reading(contents mcpgo.ResourceContents) mcpserver.ResourceHandlerFunc {
	return func(context.Context, mcpgo.ReadResourceRequest) ([]mcpgo.ResourceContents, error) {
		return []mcpgo.ResourceContents{contents}, nil
	}
}
