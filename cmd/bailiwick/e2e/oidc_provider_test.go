package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// audience is that of the tokens for the servers of these tests.
const audience = "https://bailiwick.example"

var buildProvider = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(bailiwickBin), "oidcprovider")
	out, err := exec.Command("go", "build", "-o", path, module+"/cmd/bailiwick/e2e/oidcprovider").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

// idp is an OpenID provider in a process of its own.
type idp struct {
	t    *testing.T
	url  string
	addr string
	end  func()
}

// newIDP starts one; addr "" takes a free port.
func newIDP(t *testing.T, addr string) *idp {
	t.Helper()
	bin, err := buildProvider()
	if err != nil {
		t.Fatalf("building the provider: %v\n%s", err, bin)
	}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	cmd := exec.Command(bin, addr)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &idp{t: t, end: sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })}
	t.Cleanup(p.end)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if p.url = strings.TrimPrefix(strings.TrimSpace(line), "listening on "); err != nil || p.url == "" {
		t.Fatalf("the provider says %q, %v", line, err)
	}
	p.addr = strings.TrimPrefix(p.url, "http://")
	return p
}

// freeAddr is an address that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *idp) control(path string, body any) string {
	p.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.Post(p.url+"/control/"+path, "application/json", bytes.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		p.t.Fatalf("%s: %d %s %v", path, response.StatusCode, answer, err)
	}
	return string(answer)
}

// token is one with the given claims over those of a good one.
func (p *idp) token(claims object) string { return p.order(object{"claims": claims}) }

// order is a token of any sort: see bearertest.Order.
func (p *idp) order(o object) string { p.t.Helper(); return p.control("token", o) }

// seen is how often a document was fetched.
func (p *idp) seen() (all map[string]int) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.control("seen", nil)), &all); err != nil {
		p.t.Fatal(err)
	}
	return all
}
