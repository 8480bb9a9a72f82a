package mcp_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestOnlyReachedMounts: a gateway for one key starts nothing that the key does
// not reach, and follows the key's edits.
func TestOnlyReachedMounts(t *testing.T) {
	w := newWorld(t)
	other, err := w.svc.CreateProject(t.Context(), w.op, keys.NewProject{Slug: "other", Name: "other"})
	must(t, err)
	ups := map[string]*fakeUpstream{}
	ids := map[string]string{}
	add := func(p keys.Principal, slug, project string) {
		ups[slug] = newUpstream(t, tool("x", "r"))
		ids[slug] = w.mountAs(p, slug, ups[slug], func(s *keys.InstanceSpec) {
			if project != "" {
				s.ProjectID = keys.Some(project)
			}
		}).ID
	}
	home := w.project("default")
	add(w.op, "mine", home)
	add(w.op, "beside", home)
	add(w.op, "project", other.ID)
	foreign := w.tenant("foreign")
	project, err := w.svc.CreateProject(t.Context(), foreign, keys.NewProject{Slug: "f", Name: "f"})
	must(t, err)
	add(foreign, "foreign", project.ID)
	k := w.key(func(n *keys.NewKey) {
		n.MCPInstanceIDs = keys.Some(policy.Only(ids["mine"], ids["project"]))
		n.MCPProjectIDs = keys.Some(policy.Only(home))
	})
	p, err := w.svc.Authenticate(t.Context(), k.Secret)
	must(t, err)
	before := map[string]int{}
	for slug, up := range ups {
		before[slug] = up.initialized()
	}
	s := w.second(func(c *mcp.Config) { c.Only = &p })
	s.run()
	s.gw.WaitReady(t.Context())
	check := func(when string, want ...string) {
		t.Helper()
		started := map[string]bool{}
		for _, slug := range want {
			started[slug] = true
		}
		for slug, id := range ids {
			state, _ := s.gw.InstanceStatus(id)
			if (state != "") != started[slug] {
				t.Errorf("%s: %s is %q", when, slug, state)
			}
			if n := ups[slug].initialized() - before[slug]; !started[slug] && n > 0 && when == "at first" {
				t.Errorf("%s: %s was started %d times", when, slug, n)
			}
		}
	}
	check("at first", "mine")
	update := func(patch keys.PolicyPatch) {
		t.Helper()
		_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: patch})
		must(t, err)
	}
	update(keys.PolicyPatch{MCPProjectIDs: keys.Null[policy.Limit]()})
	check("in every project", "mine", "project")
	update(keys.PolicyPatch{MCPInstanceIDs: keys.Some(policy.Only(ids["beside"]))})
	check("another instance", "beside")
	_, err = w.svc.RevokeKey(t.Context(), w.op, k.Key.ID, keys.Revocation{})
	must(t, err)
	check("revoked")
}
