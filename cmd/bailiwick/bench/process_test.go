package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait: long enough for a busy machine.
const patience = 60 * time.Second

// process is one of those that are measured.
type process struct {
	pid      int
	url      string // http://host:port
	firstKey string
}

// start runs a program until it says where it listens. It ends with the test.
func start(t testing.TB, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "BAILIWICK_") && !strings.HasPrefix(pair, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	errs, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	cmd.Stderr = errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		late.Stop()
	})
	p := &process{pid: cmd.Process.Pid}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if key, ok := strings.CutPrefix(lines.Text(), "first key: "); ok {
			p.firstKey = key
		}
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			p.url = url
			return p
		}
	}
	said, _ := os.ReadFile(errs.Name())
	t.Fatalf("%s %s ended before it listened:\n%s", program, args, said)
	return nil
}

// ourselves starts this binary in one of its roles.
func ourselves(t testing.TB, role string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, self, append([]string{role}, args...)...)
}

// serve starts the server on a new SQLite store with these MCP servers
// mounted: name -> as in mcp.json.
func serve(t testing.TB, servers map[string]any) *process {
	t.Helper()
	data := t.TempDir()
	return serveOn(t, data, servers)
}

func serveOn(t testing.TB, data string, servers map[string]any) *process {
	t.Helper()
	config, err := json.Marshal(map[string]any{"mcpServers": servers})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mcp.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, bailiwickBin, "serve", "--addr", "127.0.0.1:0", "--data", data, "--mcp-config", file)
}

func over(url string) map[string]any { return map[string]any{"type": "http", "url": url} }

// rest sends one request to the REST API as the first key.
func (p *process) rest(t testing.TB, method, path, kind string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequest(method, p.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+p.firstKey)
	request.Header.Set("Content-Type", kind)
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %v, %d %s", method, path, err, response.StatusCode, text)
	}
	return text
}

// key makes a key; patterns are its allowlist, nil = it may do everything.
func (p *process) key(t testing.TB, patterns []string) string {
	t.Helper()
	fields := map[string]any{"name": t.Name(), "mcpReadOnly": false, "mcpPreset": "full_access"}
	if patterns != nil {
		fields["mcpAllowlistMode"], fields["mcpToolAllowlist"] = "allow", patterns
	}
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Key string }
	if err := json.Unmarshal(p.rest(t, http.MethodPost, "/api/api-keys", "application/json", body), &made); err != nil {
		t.Fatal(err)
	}
	return made.Key
}

// cpu is what the process has used so far, in user and kernel mode.
func (p *process) cpu(t testing.TB) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	// Behind the name, which may hold anything: fields 3 and on of proc(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ, 100 on every Linux that Go runs on
}

// resident is the process's resident memory in KiB.
func (p *process) resident(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); n == 1 {
			return kilobytes
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
