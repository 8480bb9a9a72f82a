package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// mounted is a server with three real upstreams:
// everything (stdio) and everything-http in project alpha, files in beta.
type mounted struct {
	*server
	folder    string // what files serves
	projects  map[string]string
	instances map[string]string
	tools     map[string]object // all of them, by exposed name
}

func mountAll(t testing.TB, s *server) *mounted {
	t.Helper()
	m := &mounted{server: s, folder: t.TempDir(), projects: map[string]string{}, instances: map[string]string{}}
	if err := os.WriteFile(filepath.Join(m.folder, "hello.txt"), []byte("hello from a real file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.project(t, "alpha")
	m.project(t, "beta")
	m.stdio(t, "alpha", "everything", nodePath(t), everything(t), "stdio")
	m.mount(t, "alpha", "everything-http", object{"transport": "http", "url": everythingHTTP(t)})
	m.stdio(t, "beta", "files", nodePath(t), filesystem(t), m.folder)
	m.settle(t, "everything__simulate-research-query", "everything-http__simulate-research-query", "files__read_text_file")
	return m
}

func (m *mounted) project(t testing.TB, slug string) {
	t.Helper()
	m.projects[slug] = m.rest().create(t, "/api/projects", object{"slug": slug, "name": slug})["id"].(string)
}

// mount creates an instance that may write and whose annotations are believed.
func (m *mounted) mount(t testing.TB, project, slug string, fields object) {
	t.Helper()
	made := m.rest().create(t, "/api/instances", with(object{
		"projectId": m.projects[project], "slug": slug, "writeEnabled": true, "trustAnnotations": true,
	}, fields))
	m.instances[slug] = made["id"].(string)
}

func (m *mounted) stdio(t testing.TB, project, slug, command string, args ...string) {
	t.Helper()
	m.mount(t, project, slug, object{"transport": "stdio", "command": command, "args": args})
}

// settle waits until the first key sees the named tools, and remembers all.
func (m *mounted) settle(t testing.TB, names ...string) {
	t.Helper()
	session := openSession(t, m.url+"/mcp", m.firstKey)
	eventually(t, "upstreams listed", func() string {
		m.tools = listTools(t, session)
		for _, name := range names {
			if m.tools[name] == nil {
				_, instances := m.rest().do(t, http.MethodGet, "/api/instances", nil)
				return fmt.Sprintf("no %s among %d tools; instances: %s", name, len(m.tools), instances)
			}
		}
		return ""
	})
}

// everythingHTTP starts server-everything as a process of its own and answers
// its endpoint.
func everythingHTTP(t testing.TB) string { return everythingOver(t, "streamableHttp", "/mcp") }

func everythingOver(t testing.TB, transport, path string) string {
	t.Helper()
	port := freePort(t)
	command := exec.Command(nodePath(t), everything(t), transport)
	command.Env = append(cleanEnv(), "PORT="+strconv.Itoa(port))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	eventually(t, "server-everything over "+transport, func() string {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return err.Error()
		}
		_ = connection.Close()
		return ""
	})
	return "http://" + address + path
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// effect is the naive reading of a trusted tool's annotations.
func effect(tool object) string {
	hints, _ := tool["annotations"].(object)
	readOnly, destructive := hints["readOnlyHint"], hints["destructiveHint"]
	switch {
	case readOnly == true && destructive == true:
		return "destructive"
	case readOnly == true:
		return "read"
	case destructive == false:
		return "write"
	}
	return "destructive"
}
