package keys_test

import (
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestEmbed: a program on the store mounts itself, again and again, and touches
// nothing else; nobody else makes or changes such an instance.
func TestEmbed(t *testing.T) {
	h := newHouse(t)
	embed := func(p keys.Principal, spec keys.InstanceSpec) (keys.Instance, error) {
		return h.svc.Embed(h.ctx, p, spec)
	}
	shop := keys.InstanceSpec{Slug: keys.Some("shop")}
	configured := remote("configured")
	if err := h.svc.ApplyConfig(h.ctx, h.op, []keys.InstanceSpec{configured}); err != nil {
		t.Fatal(err)
	}
	made, err := embed(h.op, shop)
	if err != nil || made.Transport != keys.TransportEmbedded || made.Source != keys.SourceEmbedded ||
		!made.Enabled || !made.WriteEnabled || !made.TrustAnnotations || made.ProjectID != h.projectID("default") {
		t.Fatalf("%+v, %v", made, err)
	}
	before := h.epoch()
	if again, err := embed(h.op, shop); err != nil || again.ID != made.ID || h.epoch() != before {
		t.Errorf("the same again: %+v, epoch %d to %d, %v", again, before, h.epoch(), err)
	}
	shop.ProjectID = keys.Some("team") // which is made
	shop.Tools = keys.Some([]keys.ToolRule{{Match: "refund_*", Category: "money"}})
	if moved, err := embed(h.op, shop); err != nil || moved.ID != made.ID || moved.ProjectID != h.projectID("team") || len(moved.Tools) != 1 {
		t.Errorf("moved: %+v, %v", moved, err)
	}
	if err := h.svc.ApplyConfig(h.ctx, h.op, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.svc.Instance(h.ctx, h.op, "shop"); err != nil {
		t.Errorf("a configuration file that does not name it took it away: %v", err)
	}

	mine := keys.InstanceSpec{Slug: keys.Some("x"), Transport: keys.Some(keys.TransportEmbedded), Source: keys.SourceAPI,
		ProjectID: keys.Some(h.projectID("default"))}
	h.instance("taken", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(h.projectID("default")) })
	refused := map[string]error{
		"by a key":            errOf(embed(h.first, shop)),
		"by nobody":           errOf(embed(keys.Principal{}, shop)),
		"a slug of the API's": errOf(embed(h.op, keys.InstanceSpec{Slug: keys.Some("taken")})),
		"a reserved slug":     errOf(embed(h.op, keys.InstanceSpec{Slug: keys.Some("bailiwick")})),
		"a url":               errOf(embed(h.op, keys.InstanceSpec{Slug: keys.Some("y"), URL: keys.Some("https://example.com")})),
		"over the API":        errOf(h.svc.CreateInstance(h.ctx, h.first, mine)),
		"turned into one": errOf(h.svc.UpdateInstance(h.ctx, h.op, "taken",
			keys.InstanceSpec{Transport: keys.Some(keys.TransportEmbedded)})),
		"in a configuration file": h.svc.ApplyConfig(h.ctx, h.op, []keys.InstanceSpec{mine}),
	}
	for name, err := range refused {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if !isDenied(refused["by a key"]) || !isConflict(refused["a slug of the API's"]) {
		t.Errorf("by a key: %v; a slug of the API's: %v", refused["by a key"], refused["a slug of the API's"])
	}
	if err := errOf(h.svc.UpdateInstance(h.ctx, h.op, made.ID, keys.InstanceSpec{Enabled: keys.Some(false)})); !isConflict(err) {
		t.Errorf("changed over the API: %v", err)
	}
	if err := h.svc.DeleteInstance(h.ctx, h.op, made.ID); err != nil { // its program may be gone for good
		t.Errorf("deleted: %v", err)
	}
}

// TestEmbeddedTools: what a program says of its own tools needs no approval.
func TestEmbeddedTools(t *testing.T) {
	changed := keys.Definition{Kind: keys.KindTool, Name: "t", Digest: "new", Pinned: "old"}
	for transport, want := range map[keys.Transport]bool{
		keys.TransportHTTP: true, keys.TransportStdio: true, "": true, keys.TransportEmbedded: false,
	} {
		if got := (&keys.Instance{Transport: transport}).Quarantined(&changed); got != want {
			t.Errorf("%q: quarantined %v", transport, got)
		}
	}
}
