package keys_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// digest is one that looks like any other.
func digest(of string) string { return strings.Repeat(of, 64) }

// announce has an instance announce tools, as "name digit".
func (h *house) announce(i keys.Instance, tools ...string) []keys.Definition {
	h.t.Helper()
	var defs []keys.Definition
	for _, tool := range tools {
		name, digit, _ := strings.Cut(tool, " ")
		defs = append(defs, keys.Definition{Kind: keys.KindTool, Name: name, Digest: digest(digit), Raw: json.RawMessage(`{}`)})
	}
	saved, err := h.svc.SaveDefinitions(h.ctx, i, defs)
	if err != nil {
		h.t.Fatal(err)
	}
	return saved
}

// held are the names of the tools that wait for approval.
func (h *house) held(i keys.Instance) string {
	h.t.Helper()
	defs, err := h.svc.Definitions(h.ctx, i)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, d := range defs {
		if d.Quarantined() {
			out = append(out, d.Name)
		}
	}
	return strings.Join(out, " ")
}

func approvals(tools ...string) []keys.ToolApproval {
	var out []keys.ToolApproval
	for _, tool := range tools {
		name, digit, _ := strings.Cut(tool, " ")
		out = append(out, keys.ToolApproval{Name: name, Digest: digest(digit)})
	}
	return out
}

func TestApproveTools(t *testing.T) {
	h := newHouse(t)
	i := h.instance("a1")
	h.announce(i, "a 1", "b 1", "c 1")
	h.announce(i, "a 2", "b 2", "c 1")
	before := h.epoch()
	for name, c := range map[string]struct {
		tools  []keys.ToolApproval
		fields string // of what is invalid; "" = a conflict
	}{
		"none":               {nil, "tools"},
		"too many":           {make([]keys.ToolApproval, keys.MaxApprovals+1), "tools"},
		"twice":              {approvals("a 2", "a 2"), "tools[1].name"},
		"no digest":          {[]keys.ToolApproval{{Name: "a"}}, "tools[0].digest"},
		"no such digest":     {approvals("a 2", "b x"), "tools[1].digest"},
		"upper case":         {approvals("a A"), "tools[0].digest"},
		"no name":            {approvals(" 2"), "tools[0].name"},
		"long name":          {approvals(strings.Repeat("a", 129) + " 2"), "tools[0].name"},
		"no such tool":       {approvals("a 2", "z 2"), "tools[1].name"},
		"what was before":    {approvals("a 2", "b 1"), ""},
		"what nobody offers": {approvals("a 3"), ""},
	} {
		_, err := h.svc.ApproveTools(h.ctx, h.op, "a1", c.tools)
		if strings.Join(fieldsOf(err), ",") != c.fields || isInvalid(err) != (c.fields != "") || isConflict(err) != (c.fields == "") {
			t.Errorf("%s: %v, fields %v", name, err, fieldsOf(err))
		}
	}
	if h.held(i) != "a b" || h.epoch() != before {
		t.Fatalf("something was written: %q waits, %d edits", h.held(i), h.epoch()-before)
	}
	got, err := h.svc.ApproveTools(h.ctx, h.first, i.ID, approvals("a 2", "c 1"))
	if err != nil || got.ID != i.ID || h.held(i) != "b" || h.epoch() != before+1 {
		t.Errorf("%+v, %v: %q waits, %d edits", got, err, h.held(i), h.epoch()-before)
	}
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Limit: 1, Kind: "change"})
	if err != nil || len(events) != 1 || events[0].Action != "instance.approve" || events[0].Subject != i.ID || events[0].Actor != h.first.Actor() ||
		string(events[0].Detail) != `{"after":{"approved":{"a":"`+digest("2")+`"}},"before":{"approved":{"a":"`+digest("1")+`"}}}` {
		t.Errorf("recorded %+v, %v", events, err)
	}
	if _, err := h.svc.ApproveTools(h.ctx, h.op, i.ID, approvals("a 2", "c 1")); err != nil || h.epoch() != before+1 {
		t.Errorf("the same again: %v, %d edits", err, h.epoch()-before)
	}
}

// Approving lets others' keys call what they could not: it takes the permission
// and an unrestricted policy, and an instance within reach.
func TestWhoMayApprove(t *testing.T) {
	h := newHouse(t)
	two := h.project("two")
	i := h.instance("a1", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(h.projectID("default")) })
	h.announce(i, "a 1")
	other, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	foreigner, err := h.svc.Operator(h.ctx, other.ID)
	if err != nil {
		t.Fatal(err)
	}
	manage := keys.Some([]string{"manage:instances"})
	readOnly := full()
	readOnly.MCPReadOnly = keys.Some(true)
	for name, c := range map[string]struct {
		who  keys.Principal
		want func(error) bool
	}{
		"the operator":           {h.op, nil},
		"an unrestricted key":    {h.as(keys.NewKey{Permissions: manage, PolicyPatch: full()}), nil},
		"a key that only reads":  {h.as(keys.NewKey{Permissions: manage, PolicyPatch: readOnly}), isDenied},
		"a key with limits":      {h.as(keys.NewKey{Permissions: manage}), isDenied},
		"without the permission": {h.as(keys.NewKey{Permissions: keys.Some([]string{"view:instances"}), PolicyPatch: full()}), isDenied},
		"of another project": {h.as(keys.NewKey{Permissions: manage, PolicyPatch: full(), ProjectID: two.ID}),
			func(err error) bool { return errors.Is(err, keys.ErrNotFound) }},
		"of another tenant": {foreigner, func(err error) bool { return errors.Is(err, keys.ErrNotFound) }},
		"nobody":            {keys.Principal{}, func(err error) bool { return errors.Is(err, keys.ErrUnauthenticated) }},
	} {
		for digit := 2; digit <= 3; digit++ { // so that there is something to approve
			h.announce(i, "a "+string(rune('0'+digit)))
		}
		_, err := h.svc.ApproveTools(h.ctx, c.who, i.ID, approvals("a 3"))
		if c.want == nil && (err != nil || h.held(i) != "") || c.want != nil && (err == nil || !c.want(err) || h.held(i) != "a") {
			t.Errorf("%s: %v, %q waits", name, err, h.held(i))
		}
		h.announce(i, "a 1")
		if _, err := h.svc.ApproveTools(h.ctx, h.op, i.ID, approvals("a 1")); err != nil {
			t.Fatal(err)
		}
	}
}

// That new tools wait is a limit: who is limited may set it, and not take it away.
func TestQuarantineNewIsALimit(t *testing.T) {
	h := newHouse(t)
	limited := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:instances"})})
	i := h.instance("a1")
	if _, err := h.svc.UpdateInstance(h.ctx, limited, i.ID, keys.InstanceSpec{QuarantineNew: keys.Some(true)}); err != nil {
		t.Fatal(err)
	}
	for _, off := range []keys.Opt[bool]{keys.Some(false), keys.Null[bool]()} {
		err := errOf(h.svc.UpdateInstance(h.ctx, limited, i.ID, keys.InstanceSpec{QuarantineNew: off}))
		if !isDenied(err) || strings.Join(fieldsOf(err), ",") != "quarantineNew" {
			t.Errorf("%v: %v", err, fieldsOf(err))
		}
	}
	if got, err := h.svc.UpdateInstance(h.ctx, h.op, i.ID, keys.InstanceSpec{QuarantineNew: keys.Null[bool]()}); err != nil || got.QuarantineNew {
		t.Errorf("%+v, %v", got, err)
	}
}
