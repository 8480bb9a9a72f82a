package keys_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// dump is everything that the store holds, and every error and answer so far.
func (h *house) dump() string {
	h.t.Helper()
	var b strings.Builder
	rows := 0
	put := func(v any) {
		rows++
		fmt.Fprintf(&b, "%+v\n%#v\n%s\n", v, v, v)
		text, err := json.Marshal(v)
		if err != nil {
			h.t.Fatal(err)
		}
		b.Write(text)
	}
	err := h.store.Memory.Read(h.ctx, func(r keys.Reader) error {
		tenants, err := r.Tenants(h.ctx)
		put(tenants)
		all, _, keysErr := r.Keys(h.ctx, "", keys.KeyQuery{IncludeRevoked: true})
		for _, k := range all {
			put(k)
			secrets, err := r.Secrets(h.ctx, k.TenantID, k.ID)
			if err != nil {
				return err
			}
			for _, s := range secrets {
				put(s)
				put(hex.EncodeToString(s.Hash[:]))
			}
		}
		instances, _ := r.Instances(h.ctx, "")
		for _, i := range instances {
			put(i)
			put(string(i.Sealed))
		}
		for _, t := range tenants {
			entries, err := r.Audit(h.ctx, t.ID, keys.AuditQuery{Limit: 200})
			if err != nil {
				return err
			}
			for _, e := range entries {
				put(e)
				put(string(e.Detail))
			}
		}
		if keysErr != nil {
			return keysErr
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, row := range h.store.sealed.rows {
		put(row)
	}
	if rows < 20 {
		h.t.Fatalf("only %d rows", rows)
	}
	return b.String()
}

// No plaintext of a token or of an upstream credential is in anything that is
// kept or said: no 12 characters of a token's body, and no credential.
func TestCanary(t *testing.T) {
	h := newHouse(t)
	tokens := []keys.Secret{h.token}
	var said strings.Builder
	say := func(v any, err error) { fmt.Fprintf(&said, "%v %+v %#v %v %+v\n", v, v, v, err, details(err)) }
	for range 3 {
		once := keys.Idempotency{Key: rand.Text()}
		issued := h.mint(h.first, keys.NewKey{Name: "k", PolicyPatch: full(), Idempotency: once})
		say(issued, nil)
		text, err := json.Marshal(issued)
		say(string(text), err)
		rotated, err := h.svc.RotateKey(h.ctx, h.first, issued.Key.ID, keys.Rotation{Grace: time.Minute})
		say(rotated, err)
		tokens = append(tokens, issued.Secret, rotated.Secret)
		say(h.svc.Authenticate(h.ctx, issued.Secret))
		say(h.svc.ToggleKey(h.ctx, h.first, issued.Key.ID, 0))
		say(h.svc.RevokeKey(h.ctx, h.first, issued.Key.ID, keys.Revocation{Reason: "why"}))
		say(h.svc.Authenticate(h.ctx, issued.Secret))
		say(h.svc.Authenticate(h.ctx, issued.Secret+"x"))
	}
	spec := remote("a1")
	spec.URL = keys.Some("https://tools.example/mcp?token=canary-query-value")
	spec.Headers = keys.Some(map[string]string{"Authorization": "Bearer canary-header-value"})
	i, err := h.svc.CreateInstance(h.ctx, h.first, spec)
	say(i.ID, err)
	child := keys.InstanceSpec{
		Slug: keys.Some("a2"), Transport: keys.Some(keys.TransportStdio), Command: keys.Some("server"),
		Args: keys.Some([]string{"--key=canary-argument"}), Env: keys.Some(map[string]string{"KEY": "canary-env-value"}),
	}
	say(h.svc.CreateInstance(h.ctx, h.first, child))
	say(h.svc.UpdateInstance(h.ctx, h.first, i.ID, keys.InstanceSpec{
		Headers: keys.Some(map[string]string{"Bad Name": "canary-bad-value", "X": "canary\nline"}),
		URL:     keys.Some("ftp://user:canary-password@host/canary-path"),
	}))
	tokens = append(tokens, h.canaryLogin(say)...)
	h.canaryCall(say)
	h.runOnce(h.svc)

	if len(h.store.sealed.rows) != 19 { // each of six answers is there twice, without its propagation and with it
		t.Fatalf("%d sealed rows", len(h.store.sealed.rows))
	}
	kept := h.dump()
	for _, token := range tokens {
		body := token.Reveal()[len("bwk_live_"):] // a poll token's prefix is as long
		for at := 0; at+12 <= len(body); at++ {
			if part := body[at : at+12]; strings.Contains(kept, part) || strings.Contains(said.String(), part) {
				t.Fatalf("12 characters of a token's body at %d are in plain sight", at)
			}
		}
	}
	if strings.Contains(said.String(), rootSecret.Value.Reveal()) || strings.Contains(kept, rootSecret.Value.Reveal()) {
		t.Error("the root secret is in plain sight")
	}
	for _, canary := range []string{"canary-header-value", "canary-env-value", "canary-bad-value", "canary-password", "canary-path"} {
		if strings.Contains(kept, canary) || strings.Contains(said.String(), canary) {
			t.Errorf("%s is in plain sight", canary)
		}
	}
	err = h.store.Memory.Read(h.ctx, func(r keys.Reader) error {
		entries, err := r.Audit(h.ctx, h.op.TenantID(), keys.AuditQuery{Limit: 200})
		for _, e := range entries {
			if strings.Contains(string(e.Detail), "canary") {
				t.Errorf("the audit trail has %s", e.Detail)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A key pasted where a text for people belongs is refused, and nothing of it
// is kept: neither with the thing nor in the audit trail.
func TestTokenIsNoText(t *testing.T) {
	h := newHouse(t)
	pasted := "see " + h.token.Reveal() + " there"
	k := h.mint(h.op, keys.NewKey{Name: "a"}).Key
	for field, write := range map[string]func() error{
		"name": func() error { return errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: pasted})) },
		"handle": func() error {
			return errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "b", Handle: h.token.Reveal()}))
		},
		"description": func() error {
			return errOf(h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{Description: keys.Some(pasted)}))
		},
		"tags": func() error {
			return errOf(h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{Tags: keys.Some([]string{h.token.Reveal()})}))
		},
		"deviceName": func() error { return errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "c", DeviceName: pasted})) },
		"mcpToolAllowlist": func() error {
			return errOf(h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPToolAllowlist: keys.Some([]string{"read_*", h.token.Reveal()})}}))
		},
		"mcpPreset": func() error { // longer than what is repeated of it
			return errOf(h.svc.CreateKey(h.ctx, h.op, keys.NewKey{Name: "e", PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some("twelve more " + h.token.Reveal())}}))
		},
		"reason": func() error { return errOf(h.svc.RevokeKey(h.ctx, h.op, k.ID, keys.Revocation{Reason: pasted})) },
	} {
		err := write()
		if got := fieldsOf(err); !isInvalid(err) || len(got) != 1 || got[0] != field {
			t.Errorf("%s: %v %v", field, err, details(err))
		}
		if err != nil && strings.Contains(err.Error(), h.token.Reveal()[9:21]) {
			t.Errorf("%s: the error repeats the token", field)
		}
	}
	if err := errOf(h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Slug: "p", Name: pasted})); !isInvalid(err) {
		t.Errorf("project: %v", err)
	}
	slug := strings.ToLower(strings.ReplaceAll(h.token.Reveal(), "_", "-"))
	if err := errOf(h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Slug: slug, Name: "p"})); !isInvalid(err) {
		t.Errorf("slug: %v", err)
	}
	rule := remote("rules")
	rule.Tools = keys.Some([]keys.ToolRule{{Match: h.token.Reveal(), Effect: policy.EffectRead}})
	if err := errOf(h.svc.CreateInstance(h.ctx, h.op, rule)); !isInvalid(err) || fieldsOf(err)[0] != "tools" {
		t.Errorf("rule: %v", err)
	}
	// The trail is not the place of what was refused either.
	limited := h.manager(keys.PolicyPatch{})
	_ = errOf(h.svc.CreateKey(h.ctx, limited, keys.NewKey{Name: "d", PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(false), MCPToolAllowlist: keys.Some([]string{h.token.Reveal()})}}))
	entries, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Limit: 100})
	if err != nil || len(entries) < 3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		if body := h.token.Reveal()[13:]; strings.Contains(string(e.Detail), body[:12]) || strings.Contains(string(e.Detail), body[len(body)-12:]) {
			t.Errorf("%s keeps the token: %s", e.Action, e.Detail)
		}
		if len(e.Detail) > 0 && !json.Valid(e.Detail) {
			t.Errorf("%s is no JSON: %s", e.Action, e.Detail)
		}
	}
}
