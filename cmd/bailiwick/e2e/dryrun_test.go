package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
)

// TestDryRun: a call and a denial over MCP show up in what a change of the key
// would do, and the key goes on as it was.
func TestDryRun(t *testing.T) {
	t.Parallel()
	s := serve(t)
	id, token := s.rest().key(t, with(fullAccess(), object{"permissions": []string{"view:api-keys"}, "mcpAllowlistMode": "deny", "mcpToolAllowlist": []string{"get_api_key"}}))
	session := openSession(t, s.url+"/mcp", token)
	if got := callTool(t, session, "list_api_keys", object{}); got.message(t)["error"] != nil {
		t.Fatalf("%s", got.message(t)["error"])
	}
	if got := callTool(t, session, "get_api_key", object{"id": id}); got.message(t)["error"] == nil {
		t.Fatal("what is denied was let through")
	}
	patch := object{"mcpToolAllowlist": []string{"list_api_keys"}}
	eventually(t, "both are recorded", func() string {
		told := s.rest().must(t, http.MethodPut, "/api/api-keys/"+id+"?dryRun=true&days=1", patch)
		for field, tool := range map[string]string{"newlyDenied": "list_api_keys", "newlyAllowed": "get_api_key"} {
			list, _ := told[field].([]any)
			if len(list) != 1 {
				return fmt.Sprintf("%s: %v", field, told[field])
			}
			one := list[0].(object)
			if one["tool"] != tool || one["count"] != 1.0 || len(one["examples"].([]any)) != 1 {
				return fmt.Sprintf("%s: %v", field, one)
			}
		}
		if fmt.Sprint(len(told["added"].([]any)), len(told["removed"].([]any))) != "1 1" {
			return fmt.Sprint(told)
		}
		return ""
	})
	tools := listTools(t, session)
	if tools["list_api_keys"] == nil || tools["get_api_key"] != nil {
		t.Errorf("the dry run changed what is listed: %v", tools)
	}
}
