package keys_test

import (
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

func TestApplyConfig(t *testing.T) {
	h := newHouse(t)
	apply := func(specs ...keys.InstanceSpec) error { return h.svc.ApplyConfig(h.ctx, h.op, specs) }
	slugs := func() (out []string) {
		t.Helper()
		all, err := h.svc.Instances(h.ctx, h.op)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			out = append(out, i.Slug)
		}
		return out
	}
	one, two := remote("one"), remote("two")
	one.Headers, one.QuarantineNew = keys.Some(map[string]string{"X": "y"}), keys.Some(true)
	two.ProjectID = keys.Some("team-b") // a slug that no project has yet
	if err := apply(one, two); err != nil {
		t.Fatal(err)
	}
	i, err := h.svc.Instance(h.ctx, h.op, "one")
	if err != nil || i.Source != keys.SourceConfig || !i.WriteEnabled || !i.TrustAnnotations || !i.QuarantineNew || !i.Enabled || i.ProjectID != h.projectID("default") {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err = h.svc.Instance(h.ctx, h.op, "two"); err != nil || i.ProjectID != h.projectID("team-b") {
		t.Errorf("%+v, %v", i, err)
	}
	before := h.epoch()
	if err := apply(one, two); err != nil || h.epoch() != before {
		t.Errorf("the same again: epoch %d to %d, %v", before, h.epoch(), err)
	}
	for name, err := range map[string]error{
		"update": errOf(h.svc.UpdateInstance(h.ctx, h.op, i.ID, keys.InstanceSpec{Enabled: keys.Some(false)})),
		"delete": h.svc.DeleteInstance(h.ctx, h.op, i.ID),
	} {
		if !isConflict(err) {
			t.Errorf("%s of a configured instance: %v", name, err)
		}
	}
	if _, err := h.svc.SaveDefinitions(h.ctx, i, []keys.Definition{{Kind: keys.KindTool, Name: "t", Digest: digest("1")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.ApproveTools(h.ctx, h.op, i.ID, []keys.ToolApproval{{Name: "t", Digest: digest("1")}}); err != nil {
		t.Errorf("approving a tool of a configured instance: %v", err)
	}
	one.Headers, one.QuarantineNew = keys.Opt[map[string]string]{}, keys.Opt[bool]{} // a line taken out of the file counts
	if err := apply(one); err != nil || !slices.Equal(slugs(), []string{"one"}) {
		t.Errorf("%v, %v", slugs(), err)
	}
	if i, err = h.svc.Instance(h.ctx, h.op, "one"); err != nil || len(i.Sealed) != 0 || i.QuarantineNew {
		t.Errorf("%+v, %v", i, err)
	}
	h.instance("three", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(h.projectID("default")) })
	if err := apply(remote("three")); !isConflict(err) {
		t.Errorf("a slug of the API's: %v", err)
	}
	if err := apply(one, one); !isConflict(err) {
		t.Errorf("one slug twice: %v", err)
	}
	bad := remote("one")
	bad.URL = keys.Some("ftp://x")
	if err := apply(bad); !slices.Equal(fieldsOf(err), []string{"mcpServers.one.url"}) {
		t.Errorf("%v", fieldsOf(err))
	}
	if err := apply(); err != nil || !slices.Equal(slugs(), []string{"three"}) {
		t.Errorf("an empty file leaves %v, %v", slugs(), err)
	}
	if err := h.svc.ApplyConfig(h.ctx, h.first, nil); !isDenied(err) {
		t.Errorf("by a key: %v", err)
	}
}
