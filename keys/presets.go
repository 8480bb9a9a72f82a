package keys

import (
	"context"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	viewPresets   = "view:presets"
	managePresets = "manage:presets"

	maxPresetName        = 64
	maxPresetPermissions = 256
)

// Presets lists the tenant's own presets. It needs view:presets.
func (s *Service) Presets(ctx context.Context, p Principal) (list []Preset, err error) {
	err = s.read(ctx, p, operation{"preset.list", viewPresets}, func(r Reader) error {
		list, err = r.Presets(ctx, p.TenantID())
		return err
	})
	return list, err
}

// CreatePreset makes a preset; built-in names are reserved. It needs
// manage:presets: a new preset gives nothing until a key takes it, which is
// held to the rights of who writes the key.
func (s *Service) CreatePreset(ctx context.Context, p Principal, n NewPreset) (preset Preset, err error) {
	err = s.edit(ctx, p, operation{"preset.create", managePresets}, func(e *edit) error {
		preset = Preset{
			TenantID: e.who.of().tenant.ID, Name: n.Name, CreatedAt: e.now, UpdatedAt: e.now, Version: e.Epoch(),
			Preset: policy.Preset{Permissions: distinct(n.Permissions), MaxEffect: n.MaxEffect},
		}
		if err := checkPreset(&preset); err != nil {
			return err
		}
		if _, err := e.Preset(ctx, preset.TenantID, preset.Name); err == nil {
			return &ConflictError{Field: "name", Problem: "another preset has this name"}
		} else if !isNotFound(err) {
			return err
		}
		if err := e.InsertPreset(ctx, &preset); err != nil {
			return err
		}
		_, err := e.log(ctx, preset.Name, nil, preset.fields())
		return err
	})
	return preset, err
}

// UpdatePreset changes one; widening needs an unrestricted policy beside
// manage:presets.
func (s *Service) UpdatePreset(ctx context.Context, p Principal, n NewPreset, ifVersion int64) (preset Preset, err error) {
	err = s.edit(ctx, p, operation{"preset.update", managePresets}, func(e *edit) error {
		was, err := e.Preset(ctx, e.who.of().tenant.ID, n.Name)
		if err != nil {
			return err
		}
		if ifVersion != 0 && ifVersion != was.Version {
			return ErrVersion
		}
		preset = was
		preset.Preset = policy.Preset{Permissions: distinct(n.Permissions), MaxEffect: n.MaxEffect}
		if err := checkPreset(&preset); err != nil {
			return err
		}
		if err := e.unrestricted(widenedPreset(was.Preset, preset.Preset)...); err != nil {
			return err
		}
		changed, err := e.log(ctx, preset.Name, was.fields(), preset.fields())
		if err != nil || !changed {
			return err
		}
		preset.UpdatedAt, preset.Version = e.now, e.Epoch()
		return e.Writer.UpdatePreset(ctx, &preset)
	})
	return preset, err
}

// DeletePreset of one in use is a *ConflictError. It needs manage:presets.
func (s *Service) DeletePreset(ctx context.Context, p Principal, name string) error {
	return s.edit(ctx, p, operation{"preset.delete", managePresets}, func(e *edit) error {
		was, err := e.Preset(ctx, e.who.of().tenant.ID, name)
		if err != nil {
			return err
		}
		if e.who.of().tenant.JWTPolicy.Preset == was.Name {
			return &ConflictError{Problem: "the preset is in use by the tenant's jwtPolicy"}
		}
		if _, err := e.log(ctx, was.Name, was.fields(), nil); err != nil {
			return err
		}
		return e.Writer.DeletePreset(ctx, was.TenantID, was.Name)
	})
}

func checkPreset(p *Preset) error {
	var f faults
	bad := func(r rune) bool { return notSlug(r) && r != '_' }
	switch {
	case policy.ReservedPreset(p.Name):
		f.add("name", "%s is built in: choose another name", p.Name)
	case p.Name == "" || len(p.Name) > maxPresetName || strings.ContainsFunc(p.Name, bad):
		f.add("name", "must be 1 to %d of a-z, 0-9, _ and -", maxPresetName)
	}
	if len(p.Permissions) > maxPresetPermissions {
		f.add("permissions", "has more than %d entries", maxPresetPermissions)
	}
	f = append(f, p.Preset.Validate()...)
	return f.err()
}

func widenedPreset(was, becomes policy.Preset) []string {
	var out []string
	if !slices.Contains(was.Permissions, "mcp:*") && slices.ContainsFunc(becomes.Permissions, func(p string) bool {
		return !slices.Contains(was.Permissions, p)
	}) {
		out = append(out, "permissions")
	}
	if becomes.MaxEffect > was.MaxEffect {
		out = append(out, "maxEffect")
	}
	return out
}

func (p *Preset) fields() fields {
	return fields{"permissions": nonNil(p.Permissions), "maxEffect": p.MaxEffect.String()}
}
