package e2e_test

import (
	"os"
	"strings"
	"testing"
)

// askingServer is a real server with two tools that ask, and what must be in their
// answers once they were answered.
type askingServer struct {
	instance, asksUser, asksModel string
	user                          object // arguments
	userSays, modelSays           string
}

// TestQuestionsOfRealServers: server-everything, which asks by requests of its own,
// and mcp-go's server, which asks by results in 2026-07-28, ask the TypeScript SDKs
// of both generations, which answer by the same handlers in both eras.
func TestQuestionsOfRealServers(t *testing.T) {
	t.Parallel()
	m := mountAll(t, serve(t))
	m.mount(t, "alpha", "go", object{"transport": "http", "url": conformanceFixture(t, "both")})
	m.settle(t, "go__test_sampling", "everything__trigger-elicitation-request", "everything-http__trigger-sampling-request")
	// The log has it a moment after the tools are on offer.
	eventually(t, "mcp-go's server is spoken to in the newer era", func() string {
		if spoken := `"protocol":"` + modernVersion + `"`; !strings.Contains(m.log.String(), spoken) {
			return "no " + spoken + " in the log"
		}
		return ""
	})
	_, token := m.rest().key(t, fullAccess())
	env := map[string]string{"BAILIWICK_KEY": token, "PATH": os.Getenv("PATH")}
	targets := map[string]target{
		"http":        withKey(m.url+"/mcp", token),
		"local store": {Command: bailiwickBin, Args: []string{"stdio", "--data", m.data}, Env: env},
		"relayed":     {Command: bailiwickBin, Args: []string{"stdio", "--url", m.url}, Env: env},
	}
	for sdk, version := range sdkVersions {
		for name, target := range targets {
			// One after the other: what server-everything asks over stdio, where
			// nothing says for which call, is refused while those of others run.
			t.Run(sdk+" "+name, func(t *testing.T) {
				var sessions []clientSession
				for _, server := range askingServers {
					sessions = append(sessions, clientSession{Target: target, Answers: askedAnswers, Calls: []toolCall{
						{server.instance + "__" + server.asksUser, server.user},
						{server.instance + "__" + server.asksModel, object{"prompt": "Say it"}},
					}})
				}
				for i, report := range runSDK(t, sdk, sessions...) {
					askingServers[i].check(t, report, version)
				}
			})
		}
	}
}

var askedAnswers = object{
	"elicitation/create":     object{"action": "accept", "content": object{"name": "Ada", "username": "ada", "email": "ada@example.com"}},
	"sampling/createMessage": object{"role": "assistant", "model": "m", "content": object{"type": "text", "text": "a model's words"}},
}

var askingServers = []askingServer{
	{"everything", "trigger-elicitation-request", "trigger-sampling-request", object{}, "- Name: Ada", "a model's words"},
	{"everything-http", "trigger-elicitation-request", "trigger-sampling-request", object{}, "- Name: Ada", "a model's words"},
	{"go", "test_elicitation", "test_sampling", object{"message": "Who?"}, "username:ada", "LLM response: a model's words"},
}

func (s askingServer) check(t *testing.T, report clientReport, version string) {
	t.Helper()
	if report.ConnectError != nil || report.Version != version {
		t.Fatalf("%s: version %q, %+v", s.instance, report.Version, report.ConnectError)
	}
	for i, want := range []string{s.userSays, s.modelSays} {
		if got := string(report.Calls[i].Result); !strings.Contains(got, want) {
			t.Errorf("%s answered %s %+v, want %q in it", s.instance, got, report.Calls[i].Error, want)
		}
	}
	var asked []string
	for _, q := range report.Asked {
		asked = append(asked, q.Method)
	}
	if got := strings.Join(asked, " "); got != "elicitation/create sampling/createMessage" {
		t.Errorf("%s asked %q", s.instance, got)
	}
}
