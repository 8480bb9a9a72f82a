package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// buildBinary builds the program and answers its folder. Scripts start it more
// than a hundred times, so it is built without the race detector.
func buildBinary(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", folder, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return folder
}

// TestScripts drives the program. Beside testscript's own commands:
//
//	fails CODE command...   runs a command that must end with this exit code
//	serve NAME flags...     starts bailiwick serve and waits until it listens;
//	                        $URL is its address, $KEY a first key that it printed
//	end NAME [SIGNAL]       ends it, TERM without SIGNAL; its exit code must be 0
//	ask STATUS METHOD PATH [BODY]  asks $URL with $KEY; the answer goes to stdout
//	await STATUS METHOD PATH       asks until the answer has this status, for 10 s
//	awaitbody PATH TEXT     asks until the answer has the text, for 10 s
//	field NAME PATH         sets a variable to a field of the JSON on stdout
//	alike command...        runs a command on the store d and on $URL, until both
//	                        say the same and end alike, for 5 s; last on $URL
//	freeport                sets $PORT to one that nobody listens on
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) < 8 {
		t.Fatalf("only %d scripts: %v", len(scripts), err)
	}
	folder := buildBinary(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", folder+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("BIN", folder)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": fails, "serve": startServer, "end": endServer, "ask": ask, "await": await, "awaitbody": awaitBody, "field": field, "freeport": freePort, "alike": alike,
		},
	})
}

func fails(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// process is a server that a script started.
type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func startServer(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), "bailiwick"), append([]string{"serve", "--addr", "127.0.0.1:0"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "BAILIWICK_SECRET", "BAILIWICK_LOG_LEVEL", "UPSTREAM", "BAILIWICK_OIDC_ISSUER", "BAILIWICK_OIDC_AUDIENCE"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	logs, err := os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	cmd.Stderr = logs
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	p := &process{cmd: cmd, out: bufio.NewReader(out)}
	running.Store(ts.Name()+"/"+args[0], p)
	ts.Defer(func() { _ = cmd.Process.Kill(); _ = logs.Close() })
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			_ = cmd.Wait()
			ts.Fatalf("the server ended before it listened:\n%s", ts.ReadFile(args[0]+".log"))
		}
		ts.Logf("%s", line)
		if token, ok := strings.CutPrefix(line, "first key: "); ok {
			ts.Setenv("KEY", strings.TrimSpace(token))
		}
		if url, ok := strings.CutPrefix(line, "listening on "); ok {
			ts.Setenv("URL", strings.TrimSpace(url))
			return
		}
	}
}

// running holds the servers of all scripts, which run at the same time.
var running sync.Map // script's name + server's name -> *process

func endServer(ts *testscript.TestScript, _ bool, args []string) {
	found, ok := running.Load(ts.Name() + "/" + args[0])
	if !ok {
		ts.Fatalf("no server %s", args[0])
	}
	p := found.(*process)
	signal := syscall.SIGTERM
	if len(args) > 1 && args[1] == "KILL" {
		signal = syscall.SIGKILL
	}
	ts.Check(p.cmd.Process.Signal(signal))
	rest, err := io.ReadAll(p.out)
	ts.Check(err)
	if len(rest) > 0 {
		ts.Fatalf("more on standard output: %s", rest)
	}
	err = p.cmd.Wait()
	if signal == syscall.SIGTERM {
		ts.Check(err)
	}
}

func ask(ts *testscript.TestScript, _ bool, args []string) {
	body := ""
	if len(args) > 3 {
		body = args[3]
	}
	status, data := request(ts, args[1], args[2], body)
	_, _ = ts.Stdout().Write(data)
	ts.Logf("%s", data)
	if status != args[0] {
		ts.Fatalf("status %s, want %s", status, args[0])
	}
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	status := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if status, _ = request(ts, args[1], args[2], ""); status == args[0] {
			return
		}
	}
	ts.Fatalf("status %s, want %s", status, args[0])
}

func awaitBody(ts *testscript.TestScript, _ bool, args []string) {
	var data []byte
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, data = request(ts, "GET", args[0], ""); strings.Contains(string(data), args[1]) {
			return
		}
	}
	ts.Fatalf("no %q in %s", args[1], data)
}

func request(ts *testscript.TestScript, method, path, body string) (status string, answer []byte) {
	r, err := http.NewRequest(method, ts.Getenv("URL")+path, strings.NewReader(body))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if key := ts.Getenv("KEY"); key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	client := http.Client{Timeout: 20 * time.Second}
	got, err := client.Do(r)
	ts.Check(err)
	defer func() { _ = got.Body.Close() }()
	answer, err = io.ReadAll(got.Body)
	ts.Check(err)
	return strconv.Itoa(got.StatusCode), answer
}

func field(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.NewDecoder(bytes.NewBufferString(ts.ReadFile("stdout"))).Decode(&v))
	for _, name := range strings.Split(args[1], ".") {
		if n, err := strconv.Atoi(name); err == nil {
			v = v.([]any)[n]
			continue
		}
		object, ok := v.(map[string]any)
		if !ok || object[name] == nil {
			ts.Fatalf("there is no %s", args[1])
		}
		v = object[name]
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func alike(ts *testscript.TestScript, _ bool, args []string) {
	both := [2]string{}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for i, where := range [][]string{{"--data", "d"}, {"--url", ts.Getenv("URL")}} {
			err := ts.Exec("bailiwick", append(args, where...)...)
			both[i] = fmt.Sprintf("%s%send: %v\n", ts.ReadFile("stdout"), ts.ReadFile("stderr"), err)
		}
		if both[0] == both[1] {
			return
		}
	}
	ts.Fatalf("on the store:\n%son the server:\n%s", both[0], both[1])
}

func freePort(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}
