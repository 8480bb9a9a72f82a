package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ServersFile is a file in the form in which people configure MCP servers for
// their clients: {"mcpServers": {name: server}}, or "servers" as VS Code has it.
type ServersFile struct {
	Servers []Server // by name
	Ignored []string // top-level fields that mean nothing here
}

// Server is one entry of a ServersFile.
type Server struct {
	Name    string // as written; Spec.Slug is what became of it
	Project string // id or slug; "" = the tenant's only one
	Spec    keys.InstanceSpec
	Ignored []string // fields that mean nothing here
	Err     error    // why Spec can't be used: *keys.InvalidError or *policy.SyntaxError
}

// serverEntry is an entry as written. The last six are ours.
type serverEntry struct {
	Type             string            `json:"type"` // stdio, http, sse; absent: from command or url
	Command          string            `json:"command"`
	Args             []string          `json:"args"`
	Env              map[string]string `json:"env"`
	URL              string            `json:"url"`
	Headers          map[string]string `json:"headers"`
	Disabled         bool              `json:"disabled"`
	Project          string            `json:"project"`
	Tools            []ToolRule        `json:"tools"`
	TrustAnnotations *bool             `json:"trustAnnotations"` // default true: the operator wrote the file
	WriteEnabled     *bool             `json:"writeEnabled"`     // default true
	QuarantineNew    bool              `json:"quarantineNew"`
}

var entryFields = []string{"type", "command", "args", "env", "url", "headers", "disabled",
	"project", "tools", "trustAnnotations", "writeEnabled", "quarantineNew"}

// ParseServers reads such a file. lookup answers for ${VAR}, ${VAR:-default}
// and ${env:VAR} in command, args, env, url and headers; source marks the
// specs. The error is about the file as a whole; each server has its own.
// Nothing is ever quoted from the values, which may be secrets.
func ParseServers(data []byte, source string, lookup func(string) (string, bool)) (ServersFile, error) {
	var top map[string]json.RawMessage
	if err := policy.UnmarshalStrict(data, &top); err != nil {
		return ServersFile{}, err
	}
	raw, ok := top["mcpServers"]
	if vscode, also := top["servers"]; also {
		if ok {
			return ServersFile{}, invalid("servers", "stands beside mcpServers: keep one of them")
		}
		raw, ok = vscode, true
	}
	if !ok {
		return ServersFile{}, invalid("mcpServers", `is missing: write {"mcpServers": {"name": {"command": "..."}}}`)
	}
	var entries map[string]json.RawMessage
	if err := policy.UnmarshalStrict(raw, &entries); err != nil {
		return ServersFile{}, err
	}
	var file ServersFile
	for _, name := range slices.Sorted(maps.Keys(top)) {
		if name != "mcpServers" && name != "servers" {
			file.Ignored = append(file.Ignored, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		file.Servers = append(file.Servers, parseServer(name, entries[name], source, lookup))
	}
	markTwins(file.Servers)
	return file, nil
}

func parseServer(name string, raw json.RawMessage, source string, lookup func(string) (string, bool)) Server {
	s := Server{Name: name}
	var fields map[string]json.RawMessage
	if s.Err = policy.UnmarshalStrict(raw, &fields); s.Err != nil {
		return s
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(entryFields, field) {
			s.Ignored = append(s.Ignored, field)
			delete(fields, field)
		}
	}
	known, err := json.Marshal(fields)
	if err != nil {
		s.Err = err
		return s
	}
	var e serverEntry
	if s.Err = policy.UnmarshalStrict(known, &e); s.Err != nil {
		return s
	}
	s.Project = e.Project
	s.Spec, s.Err = e.spec(name, source, lookup)
	return s
}

func (e serverEntry) spec(name, source string, lookup func(string) (string, bool)) (keys.InstanceSpec, error) {
	x := expander{lookup: lookup}
	transport, err := e.transport()
	if err != nil {
		x.fault("type", err.Error())
	}
	tools, err := toolRules("tools", keys.Some(e.Tools))
	if wrong := (*keys.InvalidError)(nil); errors.As(err, &wrong) {
		x.faults = append(x.faults, wrong.Fields...)
	}
	spec := keys.InstanceSpec{
		Slug: keys.Some(keys.InstanceSlug(name)), Transport: keys.Some(transport),
		Command: x.text("command", e.Command), Args: keys.Some(x.list("args", e.Args)), Env: x.secrets("env", e.Env),
		URL: x.text("url", e.URL), Headers: x.secrets("headers", e.Headers), Tools: tools,
		Enabled: keys.Some(!e.Disabled), WriteEnabled: keys.Some(e.WriteEnabled == nil || *e.WriteEnabled),
		TrustAnnotations: keys.Some(e.TrustAnnotations == nil || *e.TrustAnnotations),
		QuarantineNew:    keys.Some(e.QuarantineNew), Source: source,
	}
	if x.faults != nil {
		return keys.InstanceSpec{}, &keys.InvalidError{Fields: x.faults}
	}
	return spec, nil
}

// expander expands the fields of one entry and collects what is wrong.
type expander struct {
	lookup func(string) (string, bool)
	faults []policy.Problem
}

func (x *expander) fault(field, problem string) {
	x.faults = append(x.faults, policy.Problem{Field: field, Problem: problem})
}

func (x *expander) one(field, text string) string {
	out, err := Expand(text, x.lookup)
	if err != nil {
		x.fault(field, err.Error())
	}
	return out
}

// text is absent where the entry has none.
func (x *expander) text(field, text string) keys.Opt[string] {
	if text == "" {
		return keys.Opt[string]{}
	}
	return keys.Some(x.one(field, text))
}

func (x *expander) list(field string, texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = x.one(fmt.Sprintf("%s[%d]", field, i), text)
	}
	return out
}

// secrets is null where the entry has none: what was stored before goes.
func (x *expander) secrets(field string, texts map[string]string) keys.Opt[map[string]string] {
	if len(texts) == 0 {
		return keys.Null[map[string]string]()
	}
	out := make(map[string]string, len(texts))
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		out[name] = x.one(field+"."+name, texts[name])
	}
	return keys.Some(out)
}

func (e serverEntry) transport() (keys.Transport, error) {
	switch {
	case e.Command != "" && e.URL != "":
		return "", errors.New("both command and url are given: keep one of them")
	case e.Command == "" && e.URL == "":
		return "", errors.New("a command or a url is needed")
	case e.Command != "" && (e.Type == "" || e.Type == "stdio"):
		return keys.TransportStdio, nil
	case e.Command != "":
		return "", errors.New("must be stdio where a command is given")
	}
	switch e.Type {
	case "", "http", "streamable-http", "streamableHttp":
		return keys.TransportHTTP, nil
	case "sse":
		return keys.TransportSSE, nil
	}
	return "", errors.New("must be http or sse where a url is given")
}

// markTwins fails every server whose name became the same slug as another's.
func markTwins(servers []Server) {
	bySlug := map[string][]int{}
	for i, s := range servers {
		if s.Err == nil {
			bySlug[s.Spec.Slug.Value] = append(bySlug[s.Spec.Slug.Value], i)
		}
	}
	for slug, twins := range bySlug {
		if len(twins) < 2 {
			continue
		}
		for _, i := range twins {
			servers[i].Err = invalid("name", fmt.Sprintf("becomes the slug %q, as another server's name does: rename one", slug))
		}
	}
}
