package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sdkVersions is what each SDK negotiates with a server that speaks all versions.
var sdkVersions = map[string]string{"sdk-v1": legacyVersion, "sdk-v2": modernVersion}

// TestStdioServesOneKey: the same key over stdio, from the local store and
// relayed to the running server, seen by the SDKs' own stdio transport.
func TestStdioServesOneKey(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	_, token := m.rest().key(t, object{"mcpToolAllowlist": []string{"read_*"}, "mcpAllowlistMode": "allow"})
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	withEnv := map[string]string{"BAILIWICK_KEY": token, "PATH": os.Getenv("PATH")}
	for name, target := range map[string]target{
		"local store": {Command: bailiwickBin, Args: []string{"stdio", "--data", m.data}, Env: withEnv},
		"key file":    {Command: bailiwickBin, Args: []string{"stdio", "--data", m.data, "--key-file", keyFile}},
		"relayed":     {Command: bailiwickBin, Args: []string{"stdio", "--url", m.url}, Env: withEnv},
	} {
		for sdk, version := range sdkVersions {
			t.Run(name+" "+sdk, func(t *testing.T) {
				t.Parallel()
				report := runSDK(t, sdk, clientSession{Target: target, Calls: []toolCall{
					{"notes__read_note", object{"title": "standup"}},
					{"notes__delete_note", object{"title": "standup"}},
				}})[0]
				checkStdio(t, report, version, []string{"notes__read_note", "whoami"}, "Monday", "notes__delete_note")
			})
		}
	}
}

// TestRunWrapsOneServer is the README's example, without a store.
func TestRunWrapsOneServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "hello.txt"), []byte("hello from a real file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the clients, which run in parallel
		if content, _ := os.ReadFile(filepath.Join(folder, "hello.txt")); string(content) != "hello from a real file\n" {
			t.Errorf("the file was written: %q", content)
		}
	})
	args := []string{"run", "--name", "files", "--read-only", "--allow", "read_*", "--", nodePath(t), filesystem(t), folder}
	for sdk, version := range sdkVersions {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			report := runSDK(t, sdk, clientSession{Target: target{Command: bailiwickBin, Args: args}, Calls: []toolCall{
				{"files__read_text_file", object{"path": filepath.Join(folder, "hello.txt")}},
				{"files__write_file", object{"path": filepath.Join(folder, "hello.txt"), "content": "gone"}},
			}})[0]
			want := []string{"files__read_file", "files__read_media_file", "files__read_multiple_files", "files__read_text_file"}
			checkStdio(t, report, version, want, "hello from a real file", "files__write_file")
		})
	}
}

// checkStdio wants this protocol version and exactly these tools, the first call through and the second
// refused as unknown.
func checkStdio(t *testing.T, report clientReport, version string, want []string, says, hidden string) {
	t.Helper()
	if report.ConnectError != nil {
		t.Fatalf("no session: %+v", report.ConnectError)
	}
	if report.Version != version {
		t.Errorf("negotiated %q, want %s", report.Version, version)
	}
	got := slices.DeleteFunc(report.names(), func(name string) bool { return name == "whoami" && !slices.Contains(want, name) })
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("lists %v, want %v", got, want)
	}
	if answered := string(report.Calls[0].Result); !strings.Contains(answered, says) || strings.Contains(answered, `"isError":true`) {
		t.Errorf("the allowed call answered %s %+v", answered, report.Calls[0].Error)
	}
	refused := report.Calls[1].Error
	if refused == nil || refused.Code != float64(-32602) || !strings.Contains(refused.Message, "Unknown tool: "+hidden) {
		t.Errorf("%s answered %s %+v", hidden, report.Calls[1].Result, refused)
	}
}
