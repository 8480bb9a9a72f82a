package keys_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Who is limited to projects does not choose by which name arguments reach them.
func TestSlugsThatArgumentsName(t *testing.T) {
	h := newHouse(t)
	red := h.project("red")
	limited := func(pp keys.PolicyPatch, projectID string) keys.Principal {
		return h.as(keys.NewKey{Name: "k", Permissions: keys.Some([]string{"manage:projects"}), PolicyPatch: pp, ProjectID: projectID})
	}
	listed := limited(keys.PolicyPatch{MCPProjectIDs: keys.Some(policy.Only(red.ID))}, "")
	confined := limited(keys.PolicyPatch{}, red.ID)
	free := limited(keys.PolicyPatch{}, "")
	rename := func(p keys.Principal, slug string) error {
		return errOf(h.svc.UpdateProject(h.ctx, p, red.ID, keys.ProjectPatch{Slug: keys.Some(slug)}))
	}
	for name, p := range map[string]keys.Principal{"listed": listed, "confined": confined, "free": free} {
		if err := rename(p, "red-"+name); err != nil {
			t.Errorf("%s, and no argument names a project: %v", name, err)
		}
	}
	h.instance("a1", func(s *keys.InstanceSpec) {
		s.ProjectID, s.Tools = keys.Some(red.ID), keys.Some([]keys.ToolRule{{Match: "find", ProjectPointer: "/project"}})
	})
	for name, p := range map[string]keys.Principal{"listed": listed, "confined": confined} {
		var denied *keys.PermissionError
		if err := rename(p, "blue"); !errors.As(err, &denied) || !slices.Equal(fieldsOf(err), []string{"slug"}) {
			t.Errorf("%s: %v", name, err)
		}
		if err := errOf(h.svc.UpdateProject(h.ctx, p, red.ID, keys.ProjectPatch{Name: keys.Some("Red, " + name)})); err != nil {
			t.Errorf("%s, the name alone: %v", name, err)
		}
	}
	for name, p := range map[string]keys.Principal{"free": free, "the operator": h.op} {
		if err := rename(p, "blue-"+name[:3]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
