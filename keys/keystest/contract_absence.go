package keystest

import (
	"errors"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// nowhere are ids, slugs and names that nothing has.
func nowhere() []string {
	return []string{newID(), "", "nope", "%", "'", "nul\x00", "\xff\xfe", "../..", strings.Repeat("x", 5000), "null", "0"}
}

var absenceTests = []contractTest{
	{"what is not there", func(b *bench) {
		b.read(func(r keys.Reader) error {
			for _, id := range nowhere() {
				b.absent(r, b.acme, id)
			}
			b.absentHash(r)
			return nil
		})
		for _, id := range nowhere() {
			for what, fn := range b.writes(b.acme, id) {
				b.missing(what, fn)
			}
			b.notSaved(b.acme, id)
		}
	}},
	{"what another tenant has", func(b *bench) {
		project := b.project(b.acme, "p")
		instance := b.instance(b.acme, project.ID, "i")
		key := b.key(b.acme, "k")
		b.edit(func(w keys.Writer) error { return w.InsertPreset(b.ctx, &keys.Preset{TenantID: b.acme, Name: "own"}) })
		for _, tenantID := range append(nowhere(), b.other) {
			b.read(func(r keys.Reader) error {
				for _, id := range []string{project.ID, instance.ID, "own", "k"} {
					b.absent(r, tenantID, id)
				}
				if tenantID != "" { // for keys, "" is any tenant
					_, err := r.Key(b.ctx, tenantID, key.ID)
					b.notFound("Key", err)
				}
				_, err := r.Secrets(b.ctx, tenantID, key.ID)
				b.notFound("Secrets", err)
				return nil
			})
			for _, id := range []string{project.ID, instance.ID, key.ID, "own"} {
				for what, fn := range b.writes(tenantID, id) {
					b.missing(what, fn)
				}
			}
			b.notSaved(tenantID, instance.ID)
		}
	}},
	{"lists of a tenant that is not there", func(b *bench) {
		p := b.project(b.acme, "p")
		b.instance(b.acme, p.ID, "i")
		b.key(b.acme, "k")
		for _, tenantID := range append(nowhere(), b.other) {
			b.read(func(r keys.Reader) error {
				projects, err1 := r.Projects(b.ctx, tenantID)
				presets, err2 := r.Presets(b.ctx, tenantID)
				entries, err3 := r.Audit(b.ctx, tenantID, keys.AuditQuery{})
				b.equal("lists", []int{len(projects), len(presets), len(entries)}, []int{0, 0, 0})
				if tenantID == "" {
					return errors.Join(err1, err2, err3)
				}
				instances, err4 := r.Instances(b.ctx, tenantID)
				list, total, err5 := r.Keys(b.ctx, tenantID, keys.KeyQuery{IncludeRevoked: true})
				b.equal("lists", []int{len(instances), len(list), total}, []int{0, 0, 0})
				return errors.Join(err1, err2, err3, err4, err5)
			})
		}
	}},
	{"no insert without its owner", func(b *bench) {
		foreign := b.project(b.other, "foreign")
		k := someKey(newID(), "k")
		for what, fn := range map[string]func(w keys.Writer) error{
			"project": func(w keys.Writer) error {
				return w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: newID(), Slug: "p"})
			},
			"preset": func(w keys.Writer) error {
				return w.InsertPreset(b.ctx, &keys.Preset{TenantID: newID(), Name: "p"})
			},
			"key": func(w keys.Writer) error { return w.InsertKey(b.ctx, &k) },
			"instance without project": func(w keys.Writer) error {
				return w.InsertInstance(b.ctx, &keys.Instance{ID: newID(), TenantID: b.acme, ProjectID: newID(), Slug: "i"})
			},
			"instance in a foreign project": func(w keys.Writer) error {
				return w.InsertInstance(b.ctx, &keys.Instance{ID: newID(), TenantID: b.acme, ProjectID: foreign.ID, Slug: "i"})
			},
		} {
			b.missing(what, fn)
		}
	}},
	{"text that Postgres can't hold", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		k := b.key(b.acme, "k")
		before := b.epoch()
		for _, bad := range []string{"a\x00", "\xff"} {
			b.invalid("name", b.failed(func(w keys.Writer) error {
				return w.InsertTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: "t", Name: bad})
			}))
			b.invalid("jwtPolicy", b.failed(func(w keys.Writer) error {
				return w.InsertTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: "t", JWTPolicy: policy.Policy{ToolAllowlist: []string{bad}}})
			}))
			b.invalid("slug", b.failed(func(w keys.Writer) error {
				return w.UpdateProject(b.ctx, &keys.Project{ID: p.ID, TenantID: b.acme, Slug: bad})
			}))
			b.invalid("tools", b.failed(func(w keys.Writer) error {
				i.Tools = []keys.ToolRule{{Match: bad}}
				return w.UpdateInstance(b.ctx, &i)
			}))
			b.invalid("tools", b.failed(func(w keys.Writer) error {
				i.Tools = []keys.ToolRule{{Match: "a", ProjectPointer: "/" + bad}}
				return w.UpdateInstance(b.ctx, &i)
			}))
			b.invalid("permissions", b.failed(func(w keys.Writer) error {
				p := keys.Preset{TenantID: b.acme, Name: "p", Preset: policy.Preset{Permissions: []string{bad}}}
				return w.InsertPreset(b.ctx, &p)
			}))
			b.invalid("mcpToolAllowlist", b.failed(func(w keys.Writer) error {
				k.Policy.ToolAllowlist = []string{"a", bad}
				return w.UpdateKey(b.ctx, &k)
			}))
			b.invalid("mcpInstanceIds", b.failed(func(w keys.Writer) error {
				fresh := someKey(b.acme, "fresh")
				fresh.Policy.InstanceIDs = policy.Only(bad)
				return w.InsertKey(b.ctx, &fresh, keys.KeySecret{Hash: [32]byte{1}})
			}))
			b.invalid("value", b.failed(func(w keys.Writer) error { return w.PutMeta(b.ctx, "name", bad) }))
			b.invalid("name", b.save(i.ID, keys.Definition{Kind: "tool", Name: bad}))
		}
		b.untouchedBut(before, 1, 1)
	}},
}

// failed is the error of an edit.
func (b *bench) failed(fn func(w keys.Writer) error) error {
	_, err := b.tryEdit(fn)
	return err
}

func (b *bench) invalid(field string, err error) {
	b.Helper()
	var invalid *keys.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Fields) != 1 || invalid.Fields[0].Field != field {
		b.Errorf("got %v, want an invalid %s", err, field)
	}
}

func (b *bench) notFound(what string, err error) {
	b.Helper()
	if !errors.Is(err, keys.ErrNotFound) {
		b.Errorf("%s: got %v, want ErrNotFound", what, err)
	}
}

// absent asks for everything that an id, a slug or a name could find.
func (b *bench) absent(r keys.Reader, tenantID, id string) {
	b.Helper()
	_, err := r.Meta(b.ctx, id)
	b.notFound("Meta", err)
	_, err = r.Tenant(b.ctx, id)
	b.notFound("Tenant", err)
	_, err = r.Project(b.ctx, tenantID, id)
	b.notFound("Project", err)
	_, err = r.Instance(b.ctx, tenantID, id)
	b.notFound("Instance", err)
	_, err = r.Definitions(b.ctx, tenantID, id)
	b.notFound("Definitions", err)
	_, err = r.Pins(b.ctx, tenantID, id)
	b.notFound("Pins", err)
	_, err = r.Preset(b.ctx, tenantID, id)
	b.notFound("Preset", err)
	_, err = r.Key(b.ctx, tenantID, id)
	b.notFound("Key", err)
	_, err = r.Key(b.ctx, "", id)
	b.notFound("Key in any tenant", err)
	_, err = r.KeyByHandle(b.ctx, tenantID, id)
	b.notFound("KeyByHandle", err)
	_, err = r.Secrets(b.ctx, tenantID, id)
	b.notFound("Secrets", err)
}

func (b *bench) absentHash(r keys.Reader) {
	b.Helper()
	_, _, err := r.KeyByHash(b.ctx, [32]byte{9})
	b.notFound("KeyByHash", err)
}

// writes are all updates and deletes, of one id.
func (b *bench) writes(tenantID, id string) map[string]func(w keys.Writer) error {
	return map[string]func(w keys.Writer) error{
		"UpdateProject": func(w keys.Writer) error {
			return w.UpdateProject(b.ctx, &keys.Project{ID: id, TenantID: tenantID, Slug: "new"})
		},
		"DeleteProject": func(w keys.Writer) error { return w.DeleteProject(b.ctx, tenantID, id) },
		"UpdateInstance": func(w keys.Writer) error {
			return w.UpdateInstance(b.ctx, &keys.Instance{ID: id, TenantID: tenantID, ProjectID: id, Slug: "new"})
		},
		"DeleteInstance": func(w keys.Writer) error { return w.DeleteInstance(b.ctx, tenantID, id) },
		"ApproveTool": func(w keys.Writer) error {
			_, err := w.ApproveTool(b.ctx, tenantID, id, "t", "d")
			return err
		},
		"UpdatePreset": func(w keys.Writer) error {
			return w.UpdatePreset(b.ctx, &keys.Preset{TenantID: tenantID, Name: id, Preset: policy.Preset{MaxEffect: policy.EffectRead}})
		},
		"DeletePreset": func(w keys.Writer) error { return w.DeletePreset(b.ctx, tenantID, id) },
		"UpdateKey": func(w keys.Writer) error {
			return w.UpdateKey(b.ctx, &keys.Key{ID: id, TenantID: tenantID, Policy: policy.Default()})
		},
		"PutSecrets": func(w keys.Writer) error { return w.PutSecrets(b.ctx, tenantID, id, keys.KeySecret{Hash: [32]byte{9}}) },
		"DeleteKey":  func(w keys.Writer) error { return w.DeleteKey(b.ctx, tenantID, id) },
	}
}

func (b *bench) notSaved(tenantID, instanceID string) {
	b.Helper()
	_, err := b.store.SaveDefinitions(b.ctx, tenantID, instanceID, []keys.Definition{{Kind: "tool", Name: "a"}})
	b.notFound("SaveDefinitions", err)
}
