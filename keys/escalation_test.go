package keys_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// wider is, for each field of a key, a maker that is limited in it, what such a
// maker may not give, what it may, and what a key gets that leaves it out.
type wider struct {
	maker   func(h *house) keys.NewKey
	request func(h *house, n *keys.NewKey)
	allowed func(h *house, n *keys.NewKey)
	open    func(h *house, maker, k keys.Key) bool // of a key that leaves the field out
}

func limited(change func(pp *keys.PolicyPatch)) func(*house) keys.NewKey {
	return func(*house) keys.NewKey {
		n := keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), PolicyPatch: full()}
		change(&n.PolicyPatch)
		return n
	}
}

// wanting asks for full access beside what it sets, so that only the field counts.
func wanting(change func(pp *keys.PolicyPatch)) func(*house, *keys.NewKey) {
	return func(_ *house, n *keys.NewKey) { change(&n.PolicyPatch) }
}

var fieldsThatWiden = map[string]wider{
	"scope": {
		maker: func(*house) keys.NewKey {
			return keys.NewKey{Scope: keys.Some(policy.ScopeMCPOnly), Permissions: keys.Some([]string{"manage:api-keys"})}
		},
		request: func(_ *house, n *keys.NewKey) { n.Scope = keys.Some(policy.ScopeAPI) },
		allowed: func(_ *house, n *keys.NewKey) { n.Scope = keys.Some(policy.ScopeMCPOnly) },
		open:    func(_ *house, _, k keys.Key) bool { return k.Scope == policy.ScopeMCPOnly },
	},
	"permissions": {
		maker:   limited(func(*keys.PolicyPatch) {}),
		request: func(_ *house, n *keys.NewKey) { n.Permissions = keys.Some([]string{"view:api-keys", "view:audit"}) },
		allowed: func(_ *house, n *keys.NewKey) { n.Permissions = keys.Some([]string{"view:api-keys"}) },
		open:    func(_ *house, _, k keys.Key) bool { return len(k.Permissions) == 0 },
	},
	"expiresAt": {
		maker: func(h *house) keys.NewKey {
			at := h.clock.Now().Add(time.Hour)
			return keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"}), ExpiresAt: &at}
		},
		request: func(h *house, n *keys.NewKey) { at := h.clock.Now().Add(2 * time.Hour); n.ExpiresAt = &at },
		allowed: func(h *house, n *keys.NewKey) { at := h.clock.Now().Add(time.Minute); n.ExpiresAt = &at },
		open: func(_ *house, maker, k keys.Key) bool {
			return k.ExpiresAt != nil && k.ExpiresAt.Equal(*maker.ExpiresAt)
		},
	},
	"mcpActive": {
		maker:   limited(func(pp *keys.PolicyPatch) { pp.MCPActive = keys.Some(false) }),
		request: wanting(func(pp *keys.PolicyPatch) { pp.MCPActive = keys.Some(true) }),
		allowed: wanting(func(pp *keys.PolicyPatch) { pp.MCPActive = keys.Some(false) }),
		open:    func(_ *house, _, k keys.Key) bool { return !k.Policy.Active },
	},
	"mcpReadOnly": {
		maker: limited(func(pp *keys.PolicyPatch) { pp.MCPReadOnly = keys.Some(true) }),
		request: wanting(func(pp *keys.PolicyPatch) {
			pp.MCPReadOnly, pp.MCPPreset = keys.Some(false), keys.Some(policy.PresetStandard)
		}),
		allowed: wanting(func(pp *keys.PolicyPatch) { pp.MCPPreset = keys.Some(policy.PresetStandard) }),
		open:    func(_ *house, _, k keys.Key) bool { return k.Policy.ReadOnly },
	},
	"mcpPreset": {
		maker: limited(func(pp *keys.PolicyPatch) {
			pp.MCPPreset, pp.MCPPermissions = keys.Some(policy.PresetCustom), keys.Some(policy.Only("mcp:search"))
		}),
		request: wanting(func(pp *keys.PolicyPatch) {
			pp.MCPPreset = keys.Some(policy.PresetStandard)
			pp.MCPPermissions = keys.Null[policy.Limit]()
		}),
		allowed: wanting(func(pp *keys.PolicyPatch) { pp.MCPPreset = keys.Some(policy.PresetStandard) }),
		open: func(_ *house, _, k keys.Key) bool {
			return slices.Equal(k.Policy.Permissions.Values(), []string{"mcp:search"})
		},
	},
	"mcpPermissions": {
		maker:   limited(func(pp *keys.PolicyPatch) { pp.MCPPermissions = keys.Some(policy.Only("mcp:search", "mcp:files")) }),
		request: wanting(func(pp *keys.PolicyPatch) { pp.MCPPermissions = keys.Some(policy.Only("mcp:search", "mcp:mail")) }),
		allowed: wanting(func(pp *keys.PolicyPatch) { pp.MCPPermissions = keys.Some(policy.Only("mcp:search")) }),
		open: func(_ *house, _, k keys.Key) bool {
			return k.Policy.Preset == policy.PresetReadOnly && slices.Equal(k.Policy.Permissions.Values(), []string{"mcp:search", "mcp:files"})
		},
	},
	"mcpToolAllowlist": {
		maker: limited(func(pp *keys.PolicyPatch) {
			pp.MCPAllowlistMode, pp.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some([]string{"read_*"})
		}),
		request: wanting(func(pp *keys.PolicyPatch) { pp.MCPToolAllowlist = keys.Some([]string{"drop_*"}) }),
		allowed: wanting(func(pp *keys.PolicyPatch) { pp.MCPToolAllowlist = keys.Some([]string{"read_me"}) }),
		open: func(_ *house, _, k keys.Key) bool {
			return k.Policy.AllowlistMode == policy.ModeAllow && slices.Equal(k.Policy.ToolAllowlist, []string{"read_*"})
		},
	},
	"mcpAllowlistMode": {
		maker: limited(func(pp *keys.PolicyPatch) {
			pp.MCPAllowlistMode, pp.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"drop_*"})
		}),
		request: wanting(func(pp *keys.PolicyPatch) { pp.MCPAllowlistMode = keys.Some(policy.ModeAll) }),
		allowed: wanting(func(pp *keys.PolicyPatch) { pp.MCPToolAllowlist = keys.Some([]string{"drop_*", "x"}) }),
		open: func(_ *house, _, k keys.Key) bool {
			return k.Policy.AllowlistMode == policy.ModeDeny && slices.Equal(k.Policy.ToolAllowlist, []string{"drop_*"})
		},
	},
	"mcpProjectIds": {
		maker: func(h *house) keys.NewKey {
			n := limited(func(*keys.PolicyPatch) {})(h)
			n.MCPProjectIDs = keys.Some(policy.Only(h.project("one").ID))
			h.project("two")
			return n
		},
		request: func(h *house, n *keys.NewKey) {
			n.MCPProjectIDs = keys.Some(policy.Only(h.projectID("one"), h.projectID("two")))
		},
		allowed: func(_ *house, n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only()) },
		open: func(h *house, _, k keys.Key) bool {
			return slices.Equal(k.Policy.ProjectIDs.Values(), []string{h.projectID("one")})
		},
	},
	"mcpInstanceIds": {
		maker: func(h *house) keys.NewKey {
			n := limited(func(*keys.PolicyPatch) {})(h)
			n.MCPInstanceIDs = keys.Some(policy.Only(h.instance("a1").ID))
			return n
		},
		request: func(_ *house, n *keys.NewKey) { n.MCPInstanceIDs = keys.Null[policy.Limit]() },
		allowed: func(_ *house, n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only()) },
		open:    func(_ *house, _, k keys.Key) bool { return len(k.Policy.InstanceIDs.Values()) == 1 },
	},
}

func (h *house) projectID(slug string) string {
	h.t.Helper()
	p, err := h.svc.Project(h.ctx, h.op, slug)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.ID
}

func TestCreateDoesNotEscalate(t *testing.T) {
	for field, c := range fieldsThatWiden {
		t.Run(field, func(t *testing.T) {
			h := newHouse(t)
			maker := h.as(c.maker(h))
			too := keys.NewKey{Name: "too wide"}
			c.request(h, &too)
			before := h.epoch()
			if _, err := h.svc.CreateKey(h.ctx, maker, too); !isDenied(err) || len(fieldsOf(err)) == 0 {
				t.Errorf("wider: %v %v", err, details(err))
			}
			if h.epoch() != before {
				t.Error("the refused key changed something")
			}
			fits := keys.NewKey{Name: "within"}
			c.allowed(h, &fits)
			h.mint(maker, fits)
			k := h.mint(maker, keys.NewKey{Name: "left open"}).Key
			if !c.open(h, maker.Key(), k) {
				t.Errorf("left open, the key got %+v", k)
			}
		})
	}
}

// The same fields, for a key that stands: it may not be widened, nor taken over
// by rotating, nor resumed; it may be narrowed, paused and revoked.
func TestChangeDoesNotEscalate(t *testing.T) {
	for field, c := range fieldsThatWiden {
		t.Run(field, func(t *testing.T) {
			h := newHouse(t)
			maker := h.as(c.maker(h))
			n := keys.NewKey{Name: "wide"}
			c.request(h, &n)
			wide := h.mint(h.op, n).Key // as the operator made it
			for name, err := range map[string]error{
				"rotate": errOf(h.svc.RotateKey(h.ctx, maker, wide.ID, keys.Rotation{})),
				"widen": errOf(h.svc.UpdateKey(h.ctx, maker, wide.ID, keys.KeyPatch{
					PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some(policy.PresetFullAccess), MCPReadOnly: keys.Some(false)}})),
			} {
				if !isDenied(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, err := range map[string]error{
				"rename": errOf(h.svc.UpdateKey(h.ctx, maker, wide.ID, keys.KeyPatch{Name: keys.Some("new")})),
				"narrow": errOf(h.svc.UpdateKey(h.ctx, maker, wide.ID, keys.KeyPatch{
					PolicyPatch: keys.PolicyPatch{MCPInstanceIDs: keys.Some(policy.Only())}})),
			} {
				if err != nil {
					t.Errorf("%s: %v %v", name, err, details(err))
				}
			}
			if k, err := h.svc.Key(h.ctx, h.op, wide.ID); err != nil || k.Policy.Active {
				if paused, err := h.svc.ToggleKey(h.ctx, maker, wide.ID, 0); err != nil || paused.Policy.Active {
					t.Errorf("pause: %v", err)
				}
			}
			if err := errOf(h.svc.ToggleKey(h.ctx, maker, wide.ID, 0)); field != "mcpInstanceIds" && !isDenied(err) {
				t.Errorf("resume: %v", err) // instances: the key was narrowed to none above
			}
			if err := errOf(h.svc.RevokeKey(h.ctx, maker, wide.ID, keys.Revocation{})); err != nil {
				t.Errorf("revoke: %v", err)
			}
		})
	}
}

func errOf(_ any, err error) error { return err }

func TestUpdateChecksEachField(t *testing.T) {
	patches := map[string]func(h *house, p *keys.KeyPatch){
		"permissions": func(_ *house, p *keys.KeyPatch) { p.Permissions = keys.Some([]string{"view:audit"}) },
	}
	for field, c := range fieldsThatWiden {
		if field == "scope" || field == "expiresAt" {
			continue // immutable
		}
		if patches[field] == nil {
			patches[field] = func(h *house, p *keys.KeyPatch) {
				n := keys.NewKey{}
				c.request(h, &n)
				p.PolicyPatch = n.PolicyPatch
			}
		}
		t.Run(field, func(t *testing.T) {
			h := newHouse(t)
			maker := h.as(c.maker(h))
			own := h.mint(maker, keys.NewKey{Name: "own", ParentKeyID: maker.KeyID()}).Key
			for name, id := range map[string]string{"a child": own.ID, "itself": maker.KeyID()} {
				var patch keys.KeyPatch
				patches[field](h, &patch)
				if err := errOf(h.svc.UpdateKey(h.ctx, maker, id, patch)); !isDenied(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// A key that is wider than the maker in one thing can't be traded for one that
// is within: what it was counts as well as what it becomes.
func TestWhatAKeyWasCountsToo(t *testing.T) {
	h := newHouse(t)
	maker := h.manager(keys.PolicyPatch{})
	n := keys.NewKey{Name: "writes to none", PolicyPatch: full()}
	n.MCPInstanceIDs = keys.Some(policy.Only())
	wide := h.mint(h.op, n).Key
	within := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{
		MCPInstanceIDs: keys.Null[policy.Limit](), MCPReadOnly: keys.Some(true), MCPPreset: keys.Some(policy.PresetReadOnly),
	}}
	if err := errOf(h.svc.UpdateKey(h.ctx, maker, wide.ID, within)); !isDenied(err) {
		t.Errorf("update: %v", err)
	}
}

// A wide key can't be minted or taken over while it is paused or disabled, to
// come alive later.
func TestDormantKeysAreHeldToTheirRights(t *testing.T) {
	h := newHouse(t)
	maker := h.manager(keys.PolicyPatch{})
	n := keys.NewKey{Name: "dormant", PolicyPatch: full()}
	n.MCPActive, n.Enabled = keys.Some(false), keys.Some(false)
	if _, err := h.svc.CreateKey(h.ctx, maker, n); !isDenied(err) {
		t.Errorf("create: %v", err)
	}
	wide := h.mint(h.op, n).Key
	if _, err := h.svc.RotateKey(h.ctx, maker, wide.ID, keys.Rotation{}); !isDenied(err) {
		t.Errorf("rotate: %v", err)
	}
	if _, err := h.svc.UpdateKey(h.ctx, maker, wide.ID, keys.KeyPatch{Enabled: keys.Some(true)}); !isDenied(err) {
		t.Errorf("enable: %v", err)
	}
}

// A paused key can't resume itself, or make keys that are active.
func TestPausedKeyStaysPaused(t *testing.T) {
	h := newHouse(t)
	p := h.manager(keys.PolicyPatch{MCPActive: keys.Some(false)})
	if _, err := h.svc.ToggleKey(h.ctx, p, p.KeyID(), 0); !isDenied(err) {
		t.Errorf("toggle: %v", err)
	}
	if _, err := h.svc.UpdateKey(h.ctx, p, p.KeyID(), keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(true)}}); !isDenied(err) {
		t.Errorf("update: %v", err)
	}
	if k := h.mint(p, keys.NewKey{}).Key; k.Policy.Active {
		t.Error("a paused key made an active one")
	}
}

// The issuing limit of an api key are its MCP fields; its scope limits nothing.
func TestAPIKeyMintsAnyScope(t *testing.T) {
	h := newHouse(t)
	maker := h.as(keys.NewKey{Scope: keys.Some(policy.ScopeAPI), Permissions: keys.Some([]string{"manage:api-keys"})})
	for _, scope := range []policy.Scope{policy.ScopeAPI, policy.ScopeMCPOnly, policy.ScopeFull} {
		h.mint(maker, keys.NewKey{Scope: keys.Some(scope)})
	}
	if _, err := h.svc.CreateKey(h.ctx, maker, keys.NewKey{Name: "x", PolicyPatch: full()}); !isDenied(err) {
		t.Error(err)
	}
}
