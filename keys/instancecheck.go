package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxURL         = 2048
	maxCommand     = 4096
	maxArgs        = 256
	maxArg         = 8192
	maxCredentials = 128
	maxCredential  = 32 << 10
	maxCredName    = 128
)

// checkInstance lists what is wrong with an instance as it is to be written.
func checkInstance(f *faults, i *Instance, c *Credentials) {
	if problem := InstanceSlugProblem(i.Slug); problem != "" {
		f.add("slug", "%s", problem)
	}
	if !slices.Contains([]string{SourceAPI, SourceCLI, SourceConfig, SourceImport, SourceRun, SourceEmbedded}, i.Source) {
		f.add("source", "unknown source %q", clip(i.Source))
	}
	switch i.Transport {
	case TransportEmbedded:
		if i.Source != SourceEmbedded { // a program says so itself, by Embed, and nobody for it
			f.add("transport", "embedded is for programs on the store: use stdio, http or sse")
		}
		unwanted(f, i.Command != "" || len(i.Args) > 0 || len(c.Env) > 0, "command", "is for the transport stdio")
		unwanted(f, i.URL != "" || len(c.Headers) > 0, "url", "is for the transports http and sse")
	case TransportStdio:
		checkCommand(f, i)
		unwanted(f, i.URL != "", "url", "is for the transports http and sse")
		unwanted(f, len(c.Headers) > 0, "headers", "are for the transports http and sse")
	case TransportHTTP, TransportSSE:
		checkURL(f, i.URL)
		unwanted(f, i.Command != "", "command", "is for the transport stdio")
		unwanted(f, len(i.Args) > 0, "args", "are for the transport stdio")
		unwanted(f, len(c.Env) > 0, "env", "is for the transport stdio")
	case "":
		f.add("transport", "is missing: use stdio, http or sse")
	default:
		f.add("transport", "unknown transport %q: use stdio, http or sse", clip(string(i.Transport)))
	}
	checkEnv(f, c.Env)
	checkHeaders(f, c.Headers)
	ruleFaults(f, i.Tools)
}

func unwanted(f *faults, there bool, field, problem string) {
	if there {
		f.add(field, "%s", problem)
	}
}

func checkCommand(f *faults, i *Instance) {
	f.text("command", i.Command, 1, maxCommand)
	if len(i.Args) > maxArgs {
		f.add("args", "has more than %d entries", maxArgs)
		return
	}
	for n, arg := range i.Args {
		if len(arg) > maxArg || strings.ContainsRune(arg, 0) || !utf8.ValidString(arg) {
			f.add("args", "entry %d: must be valid UTF-8 without NUL, at most %d bytes", n+1, maxArg)
		}
	}
}

// checkURL never quotes the URL: it may hold a secret.
func checkURL(f *faults, text string) {
	if text == "" {
		f.add("url", "is missing")
		return
	}
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		f.add("url", "has more than %d characters", maxURL)
	case err != nil || strings.ContainsFunc(text, notGraphic):
		f.add("url", "is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		f.add("url", "must start with http:// or https://")
	case u.Hostname() == "":
		f.add("url", "names no host")
	case u.User != nil:
		f.add("url", "must not hold a user name or password: use headers")
	case u.Fragment != "":
		f.add("url", "must not have a fragment")
	}
}

func checkEnv(f *faults, env map[string]string) {
	if len(env) > maxCredentials {
		f.add("env", "has more than %d entries", maxCredentials)
	}
	for name, value := range env {
		if !envName(name) {
			f.add("env", "%q is not a variable's name: use letters, digits and _, not starting with a digit", clip(name))
		} else if len(value) > maxCredential || strings.ContainsRune(value, 0) {
			f.add("env", "%s: must be at most %d bytes without NUL", name, maxCredential)
		}
	}
}

func envName(name string) bool {
	if name == "" || len(name) > maxCredName || '0' <= name[0] && name[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r > '~' || !isAlphanumeric(byte(r)) && r != '_' })
}

// ownHeaders are set by the transport itself.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Te", "Trailer", "Keep-Alive",
	"Content-Type", "Accept", "Mcp-Session-Id", "Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name",
}

func checkHeaders(f *faults, headers map[string]string) {
	if len(headers) > maxCredentials {
		f.add("headers", "has more than %d entries", maxCredentials)
	}
	seen := map[string]bool{}
	for name, value := range headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !headerName(name):
			f.add("headers", "%q is not a header's name", clip(name))
		case slices.Contains(ownHeaders, canonical):
			f.add("headers", "%s is set by the server itself", canonical)
		case seen[canonical]:
			f.add("headers", "%s is there twice", canonical)
		case len(value) > maxCredential || strings.ContainsFunc(value, notHeaderText):
			f.add("headers", "%s: must be one line of at most %d bytes", canonical, maxCredential)
		}
		seen[canonical] = true
	}
}

// headerName checks a token of RFC 9110, section 5.6.2.
func headerName(name string) bool {
	if name == "" || len(name) > maxCredName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r > '~' || !isAlphanumeric(byte(r)) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func notHeaderText(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// shortDigest tells in the audit trail that a value changed, without the value.
func shortDigest(v any) string {
	text, _ := json.Marshal(v)
	if len(text) <= len(`""`) || string(text) == "null" {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
