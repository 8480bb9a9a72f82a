package main

import (
	"context"
	"fmt"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"
)

// answerID names the one question of a tool that asks one.
const answerID = "answer"

// addAskingTools adds the tools that the suite calls in the revisions with
// sessions. They ask by input_required, which mcp-go turns into a request of
// the server's own for a client of those revisions; so that one tool serves
// both.
func addAskingTools(s *mcpserver.MCPServer) {
	s.AddTool(mcpgo.NewTool("test_sampling", mcpgo.WithDescription("Asks the client's model"), mcpgo.WithString("prompt", mcpgo.Required())),
		func(_ context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			answer := mcpserver.SamplingResponse(request.Params.InputResponses, answerID)
			if answer == nil {
				return mcpserver.NewInputRequestBuilder("").Sample(answerID, sampling(request.GetString("prompt", ""), 100)).ToolResult(), nil
			}
			return mcpgo.NewToolResultText("LLM response: " + mcpgo.GetTextFromContent(answer.Content)), nil
		})
	s.AddTool(mcpgo.NewTool("test_elicitation", mcpgo.WithDescription("Asks the user"), mcpgo.WithString("message", mcpgo.Required())),
		func(_ context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
			return elicit(request, form(request.GetString("message", ""), object{
				"username": object{"type": "string", "description": "User's response"},
				"email":    object{"type": "string", "description": "User's email address"},
			}, "username", "email"))
		})
	addTool(s, "test_elicitation_sep1034_defaults", "Asks the user, with a default of each type", eliciting(form("Review your profile", object{
		"name":     object{"type": "string", "default": "John Doe"},
		"age":      object{"type": "integer", "default": 30},
		"score":    object{"type": "number", "default": 95.5},
		"status":   object{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
		"verified": object{"type": "boolean", "default": true},
	})))
	titled := []object{{"const": "value1", "title": "First"}, {"const": "value2", "title": "Second"}, {"const": "value3", "title": "Third"}}
	plain := []string{"option1", "option2", "option3"}
	addTool(s, "test_elicitation_sep1330_enums", "Asks the user, with each kind of choice", eliciting(form("Select options", object{
		"untitledSingle": object{"type": "string", "enum": plain},
		"titledSingle":   object{"type": "string", "oneOf": titled},
		"legacyEnum":     object{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"One", "Two", "Three"}},
		"untitledMulti":  object{"type": "array", "items": object{"type": "string", "enum": plain}},
		"titledMulti":    object{"type": "array", "items": object{"anyOf": titled}},
	})))
}

func eliciting(question mcpgo.ElicitationParams) mcpserver.ToolHandlerFunc {
	return func(_ context.Context, request mcpgo.CallToolRequest) (*mcpgo.CallToolResult, error) {
		return elicit(request, question)
	}
}

// elicit asks the question, and when it was answered says what the answer was.
func elicit(request mcpgo.CallToolRequest, question mcpgo.ElicitationParams) (*mcpgo.CallToolResult, error) {
	answer := mcpserver.ElicitationResponse(request.Params.InputResponses, answerID)
	if answer == nil {
		return mcpserver.NewInputRequestBuilder("").Elicit(answerID, question).ToolResult(), nil
	}
	return mcpgo.NewToolResultText(fmt.Sprintf("User response: action=%s, content=%v", answer.Action, answer.Content)), nil
}

type object = map[string]any

// form is a question to the user with the given fields.
func form(message string, fields object, required ...string) mcpgo.ElicitationParams {
	schema := object{"type": "object", "properties": fields}
	if len(required) > 0 {
		schema["required"] = required
	}
	return mcpgo.ElicitationParams{Message: message, RequestedSchema: schema}
}

func sampling(prompt string, maxTokens int) mcpgo.CreateMessageParams {
	return mcpgo.CreateMessageParams{
		Messages:  []mcpgo.SamplingMessage{{Role: mcpgo.RoleUser, Content: mcpgo.NewTextContent(prompt)}},
		MaxTokens: maxTokens,
	}
}
