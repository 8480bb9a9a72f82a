package rest_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// targets are things that requests can be about, none of them in use elsewhere.
type targets struct {
	n                         int64
	tenant                    string
	key                       keys.Issued
	project, instance, preset string
	ref                       string // of a denial
	login                     string // id of a pending sign-in
	poll                      keys.Secret
}

// targets makes a set of them in the tenant of who: all that requests to the
// routes can be about.
func (s *site) targets(who keys.Principal, routes ...rest.Route) targets {
	s.t.Helper()
	n := s.made.Add(1)
	name := fmt.Sprintf("target-%d", n)
	out := targets{n: n, tenant: who.TenantID(), preset: name}
	about := func(things string) bool {
		return slices.ContainsFunc(routes, func(r rest.Route) bool { return strings.Contains(r.Path, things) })
	}
	var err error
	out.key, err = s.svc.CreateKey(s.ctx, who, keys.NewKey{Name: name})
	s.must(err)
	projects, err := s.svc.Projects(s.ctx, who)
	s.must(err)
	out.project = projects[0].ID
	if about("/projects") {
		project, err := s.svc.CreateProject(s.ctx, who, keys.NewProject{Slug: name, Name: name})
		s.must(err)
		out.project = project.ID
	}
	if about("/instances") {
		instance, err := s.svc.CreateInstance(s.ctx, who, keys.InstanceSpec{
			Slug: keys.Some(name), ProjectID: keys.Some(projects[0].ID),
			Transport: keys.Some(keys.TransportHTTP), URL: keys.Some("https://tools.example/mcp"),
		})
		s.must(err)
		out.instance = instance.ID
		_, err = s.svc.SaveDefinitions(s.ctx, instance, []keys.Definition{{Kind: keys.KindTool, Name: "get", Digest: strings.Repeat("0", 64)}})
		s.must(err)
		_, err = s.svc.SaveDefinitions(s.ctx, instance, []keys.Definition{{Kind: keys.KindTool, Name: "get", Digest: fmt.Sprintf("%064x", n), Raw: []byte(`{}`)}})
		s.must(err)
	}
	if about("/presets") {
		_, err := s.svc.CreatePreset(s.ctx, who, keys.NewPreset{Name: name, MaxEffect: policy.EffectRead})
		s.must(err)
	}
	if about("{ref}") {
		out.ref = s.deny(out.key.Key, n)
	}
	if about("/login/") {
		signIn, poll, err := s.svc.StartLogin(s.ctx, keys.NewLogin{Name: name})
		s.must(err)
		out.login, out.poll = signIn.ID, poll
	}
	return out
}

// deny records a denial, as a tool's call does, and answers its reference.
func (s *site) deny(k keys.Key, n int64) string {
	s.t.Helper()
	ref := fmt.Sprintf("%016s", strings.Map(func(r rune) rune { return r + 'a' - '0' }, fmt.Sprint(n)))
	ref = strings.ReplaceAll(ref, "0", "z")
	s.must(s.svc.Record(s.ctx, keys.AuditEntry{
		TenantID: k.TenantID, Kind: "decision", Action: "tools/call", Actor: k.ID, KeyID: k.ID, KeyVersion: k.Version,
		Tool: "notes__delete_note", Decision: "deny", Failed: []string{"tool.unknown"}, Ref: ref, Epoch: k.Version,
		Detail: []byte(`{"rules":[{"rule":"tool.unknown","ok":false,"observed":"no such tool","pattern":null}]}`),
	}))
	return ref
}

// unknown are targets that are nowhere.
func (s *site) unknown(tenant string) targets {
	out := targets{n: s.made.Add(1), tenant: tenant, project: unknownID, instance: unknownID, preset: "nowhere", ref: "zzzzzzzzzzzzzzzz", login: unknownID, poll: "x"}
	out.key.Key = keys.Key{ID: unknownID, Handle: "nowhere"}
	return out
}

// path is the route's, about the targets.
func (x targets) path(r rest.Route) string {
	id := x.key.Key.ID
	switch {
	case strings.Contains(r.Path, "/projects"):
		id = x.project
	case strings.Contains(r.Path, "/instances"):
		id = x.instance
	case login(r):
		id = x.login
	case strings.Contains(r.Path, "/admin/tenants"):
		id = x.tenant
	}
	query := ""
	switch r.Operation {
	case "explainKey":
		query = "?tool=whoami"
	case "pollLogin":
		query = "?poll_token=" + x.poll.Reveal()
	}
	return strings.NewReplacer("{id}", id, "{name}", x.preset, "{keyID}", id, "{keyName}", x.key.Key.Handle,
		"{tenantId}", x.tenant, "{orgID}", x.tenant, "{ref}", x.ref).Replace(r.Path) + query
}

// bodies are good ones, by shape and operation; %d makes names differ.
var bodies = map[string]string{
	"ocore createKey":      `{"name":"made-%d"}`,
	"ocore updateKey":      `{"description":"changed %d"}`,
	"ocore rotateKey":      `{"graceSeconds":60}`,
	"ocore createProject":  `{"name":"made-%d"}`,
	"ocore updateProject":  `{"name":"changed %d"}`,
	"ocore createInstance": `{"slug":"made-%d","projectId":"PROJECT","transport":"http","url":"https://tools.example/"}`,
	"ocore updateInstance": `{"url":"https://tools.example/%d"}`,
	"ocore approveTools":   `{"tools":[{"name":"get","digest":"HASH"}]}`,
	"ocore createPreset":   `{"name":"made-%d","permissions":[],"maxEffect":"read"}`,
	"ocore updatePreset":   `{"permissions":[],"maxEffect":"read"}`,
	"ocore updateTenant":   `{"name":"Changed %d"}`,
	"ocore revokeKey":      `{"reason":"done %d"}`,

	"ocore explainPolicy": `{"policy":{"mcpReadOnly":false},"tool":"whoami"}`,

	"ocore importKey":  `{"name":"made-%d","hash":"HASH"}`,
	"ocore importKeys": `{"name":"made-%d","hash":"HASH"}`,

	"ocore revokeAnyKey":    `{"reason":"done %d"}`,
	"ocore createTenant":    `{"name":"made-%d"}`,
	"ocore createTenantKey": `{"name":"made-%d"}`,
	"ocore updateAnyTenant": `{"name":"Changed %d"}`,

	"walletcrew createKeyDefinition":  `{"name":"made-%d","permissions":["tenant.audit:read"]}`,
	"walletcrew replaceKeyDefinition": `{"enabled":false}`,

	"capydb createOrganizationKey": `{"name":"made %d","scopes":[]}`,
	"capydb startLogin":            `{"name":"made %d"}`,
	"capydb approveLogin":          `{"scopes":[]}`,
}

// body is a good one for the route.
func (x targets) body(s *site, r rest.Route) string {
	s.t.Helper()
	if !r.Body {
		return ""
	}
	body, ok := bodies[r.Shape+" "+r.Operation]
	if !ok {
		s.t.Fatalf("no body for %s %s: add one", r.Shape, r.Operation)
	}
	if strings.Contains(body, "%d") {
		body = fmt.Sprintf(body, x.n)
	}
	return strings.NewReplacer("PROJECT", x.project, "HASH", fmt.Sprintf("%064x", x.n)).Replace(body)
}
