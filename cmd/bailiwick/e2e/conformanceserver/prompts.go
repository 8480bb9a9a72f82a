package main

import (
	"context"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

func addPrompts(s *mcpserver.MCPServer) {
	s.AddPrompt(mcpgo.NewPrompt("test_simple_prompt", mcpgo.WithPromptDescription("Has no arguments")),
		saying(mcpgo.NewTextContent("This is a simple prompt for testing.")))
	s.AddPrompt(mcpgo.NewPrompt("test_prompt_with_image", mcpgo.WithPromptDescription("Has an image")),
		saying(mcpgo.NewImageContent(pngImage, "image/png"), mcpgo.NewTextContent("Please analyze the image above.")))
	s.AddPrompt(mcpgo.NewPrompt("test_prompt_with_arguments", mcpgo.WithPromptDescription("Has two arguments"),
		mcpgo.WithArgument("arg1", mcpgo.ArgumentDescription("First test argument"), mcpgo.RequiredArgument()),
		mcpgo.WithArgument("arg2", mcpgo.ArgumentDescription("Second test argument"), mcpgo.RequiredArgument())),
		func(ctx context.Context, request mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
			arguments := request.Params.Arguments
			return saying(mcpgo.NewTextContent(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", arguments["arg1"], arguments["arg2"])))(ctx, request)
		})
	s.AddPrompt(mcpgo.NewPrompt("test_prompt_with_embedded_resource", mcpgo.WithPromptDescription("Has a resource"),
		mcpgo.WithArgument("resourceUri", mcpgo.ArgumentDescription("URI of the resource to embed"), mcpgo.RequiredArgument())),
		func(ctx context.Context, request mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
			resource := mcpgo.NewEmbeddedResource(mcpgo.TextResourceContents{
				URI: request.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."})
			return saying(resource, mcpgo.NewTextContent("Please process the embedded resource above."))(ctx, request)
		})
	s.AddPrompt(mcpgo.NewPrompt("test_input_required_result_prompt", mcpgo.WithPromptDescription("Needs a context")),
		func(ctx context.Context, request mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
			if !answered("user_context")(request.Params.InputResponses) {
				return mcpserver.NewInputRequestBuilder("").Elicit("user_context", askContext).PromptResult(), nil
			}
			return saying(mcpgo.NewTextContent("In this context: go on."))(ctx, request)
		})
}

// saying answers one message of the user for each content.
func saying(contents ...mcpgo.Content) mcpserver.PromptHandlerFunc {
	var messages []mcpgo.PromptMessage
	for _, content := range contents {
		messages = append(messages, mcpgo.PromptMessage{Role: mcpgo.RoleUser, Content: content})
	}
	return func(context.Context, mcpgo.GetPromptRequest) (*mcpgo.GetPromptResult, error) {
		return &mcpgo.GetPromptResult{Messages: messages}, nil
	}
}
