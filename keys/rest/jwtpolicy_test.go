package rest_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestJWTPolicy(t *testing.T) {
	h := newHouse(t)
	policyOf := func(r response) string {
		t.Helper()
		p := h.want(200, r)["jwtPolicy"].(map[string]any)
		if len(p) != 11 {
			t.Errorf("fields: %v", p)
		}
		return strings.TrimSpace(fmt.Sprintln(p["mcpActive"], p["mcpReadOnly"], p["mcpPreset"], p["mcpAllowlistMode"], p["mcpToolAllowlist"],
			p["mcpPermissions"], p["mcpProjectIds"], p["mcpInstanceIds"]))
	}
	for _, step := range []struct{ method, body, want string }{
		{"GET", "", "false false full_access all [] <nil> <nil> <nil>"},
		{"PUT", `{"jwtPolicy":{"mcpActive":true}}`, "true false full_access all [] <nil> <nil> <nil>"},
		{"PUT", `{"jwtPolicy":{"mcpInstanceIds":[],"mcpToolAllowlist":["a*"],"mcpAllowlistMode":"deny"}}`, "true false full_access deny [a*] <nil> <nil> []"},
		{"PUT", `{"jwtPolicy":{"mcpInstanceIds":null,"mcpActive":null,"mcpReadOnly":true}}`, "false true full_access deny [a*] <nil> <nil> <nil>"},
		{"PUT", `{"jwtPolicy":{}}`, "false true full_access deny [a*] <nil> <nil> <nil>"},
		{"PUT", `{"name":"Other"}`, "false true full_access deny [a*] <nil> <nil> <nil>"},
		{"PUT", `{"jwtPolicy":null}`, "false false full_access all [] <nil> <nil> <nil>"},
	} {
		if got := policyOf(h.ask(step.method, "/api/tenant", step.body)); got != step.want {
			t.Errorf("%s %s: %s, want %s", step.method, step.body, got, step.want)
		}
	}
	for body, field := range map[string]string{
		`{"jwtPolicy":{"mcpPreset":"nope"}}`:          "jwtPolicy.mcpPreset",
		`{"jwtPolicy":{"mcpProjectIds":["nope"]}}`:    "jwtPolicy.mcpProjectIds",
		`{"jwtPolicy":{"mcpToolAllowlist":["a[b]"]}}`: "jwtPolicy.mcpToolAllowlist",
	} {
		if got := h.refused(422, "invalid", h.ask("PUT", "/api/tenant", body)); len(got) != 1 || got[0] != field {
			t.Errorf("%s: %v", body, got)
		}
	}
	for _, body := range []string{`{"jwtPolicy":{"scope":"full"}}`, `{"jwtPolicy":{"mcpactive":true}}`, `{"jwtPolicy":[]}`, `{"jwtPolicy":{"mcpActive":1}}`} {
		h.refused(400, "malformed", h.ask("PUT", "/api/tenant", body))
	}
}
