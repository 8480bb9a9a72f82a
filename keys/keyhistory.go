package keys

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// maxHistory is how many changes of one key are read to go back to one of its
// versions.
const maxHistory = 10_000

// keyAt is the key as it was in one of its versions: as it stands now, with the
// changes since then taken back. Entries are the key's own of kind change, in any
// order; others among them are passed over. Going back from the present, it needs
// no entry from before that version, which retention may have removed. A version
// that the key never had, or that the entries do not reach, is an *InvalidError of
// the field version, which says which ones there are; an entry that can't be read is an error too, and never passed over.
func keyAt(now Key, entries []AuditEntry, version int64) (Key, error) {
	if version == now.Version {
		return now, nil
	}
	changes := changesOf(now.ID, entries)
	whole := len(changes) > 0 && changes[0].Epoch == now.Version // nothing is missing at this end
	if !whole || !slices.ContainsFunc(changes, func(e AuditEntry) bool { return e.Epoch == version }) {
		return Key{}, noVersion(now.Version, changes, whole, version)
	}
	k := now
	for _, e := range changes {
		if e.Epoch == version {
			k.Version, k.UpdatedAt = version, e.Time
			break
		}
		if err := takeBack(&k, e.Detail); err != nil {
			return Key{}, fmt.Errorf("taking back the key's change at edit %d: %w", e.Epoch, err)
		}
	}
	return k, nil
}

// changesOf are the key's changes, newest first. Their epochs are their order:
// ids follow the clocks of several processes.
func changesOf(id string, entries []AuditEntry) []AuditEntry {
	changes := slices.DeleteFunc(slices.Clone(entries), func(e AuditEntry) bool { return e.Kind != "change" || e.Subject != id })
	slices.SortStableFunc(changes, func(a, b AuditEntry) int { return cmp.Compare(b.Epoch, a.Epoch) })
	return changes
}

// changeDetail is the detail of a change: the fields that differ.
type changeDetail struct {
	Before map[string]json.RawMessage `json:"before"`
}

// takeBack gives the key the fields that it had before a change.
func takeBack(k *Key, detail json.RawMessage) error {
	var was changeDetail
	if err := json.Unmarshal(detail, &was); err != nil {
		return err
	}
	for name, value := range was.Before {
		if err := readField(k, name, value); err != nil {
			return fmt.Errorf("the field %s: %w", name, err)
		}
	}
	return nil
}

// keyFields read what Key.fields writes, of the fields that can change.
var keyFields = map[string]func(*Key, json.RawMessage) error{
	"name":         func(k *Key, v json.RawMessage) error { return json.Unmarshal(v, &k.Name) },
	"description":  func(k *Key, v json.RawMessage) error { return json.Unmarshal(v, &k.Description) },
	"tags":         func(k *Key, v json.RawMessage) error { return afresh(v, &k.Tags) },
	"prefix":       func(k *Key, v json.RawMessage) error { return json.Unmarshal(v, &k.Prefix) },
	"permissions":  func(k *Key, v json.RawMessage) error { return afresh(v, &k.Permissions) },
	"enabled":      func(k *Key, v json.RawMessage) error { return json.Unmarshal(v, &k.Enabled) },
	"revokeReason": func(k *Key, v json.RawMessage) error { return json.Unmarshal(v, &k.RevokeReason) },
	"revoked": func(k *Key, v json.RawMessage) error {
		var revoked bool
		if err := json.Unmarshal(v, &revoked); err != nil || revoked {
			return err // a key that was revoked already is revoked now
		}
		k.RevokedAt, k.RevokedBy = nil, ""
		return nil
	},
	"mcpShadow": func(k *Key, v json.RawMessage) error {
		var was map[string]json.RawMessage
		if err := json.Unmarshal(v, &was); err != nil || was == nil {
			k.Shadow = nil
			return err
		}
		k.Shadow = &policy.Policy{}
		for name, value := range was {
			if err := readPolicyField(k.Shadow, name, value); err != nil {
				return err
			}
		}
		return nil
	},
}

// policyFieldsRead read what policyFields writes.
var policyFieldsRead = map[string]func(*policy.Policy, json.RawMessage) error{
	"mcpActive":        func(p *policy.Policy, v json.RawMessage) error { return json.Unmarshal(v, &p.Active) },
	"mcpReadOnly":      func(p *policy.Policy, v json.RawMessage) error { return json.Unmarshal(v, &p.ReadOnly) },
	"mcpPreset":        func(p *policy.Policy, v json.RawMessage) error { return json.Unmarshal(v, &p.Preset) },
	"mcpPermissions":   func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.Permissions) },
	"mcpAllowlistMode": func(p *policy.Policy, v json.RawMessage) error { return json.Unmarshal(v, &p.AllowlistMode) },
	"mcpToolAllowlist": func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.ToolAllowlist) },
	"mcpProjectIds":    func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.ProjectIDs) },
	"mcpInstanceIds":   func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.InstanceIDs) },
	"mcpArgumentRules": func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.ArgumentRules) },
	"mcpApprovals":     func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.Approvals) },
	"mcpLimits":        func(p *policy.Policy, v json.RawMessage) error { return afresh(v, &p.Limits) },
}

func readPolicyField(p *policy.Policy, name string, value json.RawMessage) error {
	read := policyFieldsRead[name]
	if read == nil {
		return fmt.Errorf("the field %q is none of a policy's", clip(name))
	}
	return read(p, value)
}

// readField gives the key what a change wrote of one field.
func readField(k *Key, name string, value json.RawMessage) error {
	if set := keyFields[name]; set != nil {
		return set(k, value)
	}
	if policyFieldsRead[name] == nil {
		return fmt.Errorf("the field %q is none of a key's that change", clip(name))
	}
	return readPolicyField(&k.Policy, name, value)
}

// afresh shares no memory with the value that it replaces.
func afresh[T any](data json.RawMessage, into *T) error {
	var v T
	err := json.Unmarshal(data, &v)
	if err == nil {
		*into = v
	}
	return err
}

// noVersion says which versions there are instead.
func noVersion(now int64, changes []AuditEntry, whole bool, asked int64) error {
	if !whole {
		return unversioned("the audit trail no longer has what the key was before version %d, which it has now", now)
	}
	oldest := changes[len(changes)-1]
	var made changeDetail
	if json.Unmarshal(oldest.Detail, &made) == nil && made.Before != nil && asked < oldest.Epoch {
		return unversioned("the audit trail no longer has it: it goes back to version %d of this key", oldest.Epoch)
	}
	const shown = 20
	var had []string
	for _, e := range changes {
		if text := fmt.Sprint(e.Epoch); !slices.Contains(had, text) {
			had = append(had, text)
		}
	}
	more := ""
	if len(had) > shown {
		had, more = had[:shown], " and older ones"
	}
	return unversioned("the key never had it: its versions, newest first, are %s%s", strings.Join(had, ", "), more)
}

// keyVersion reads from the audit trail what keyAt takes back.
func keyVersion(ctx context.Context, r Reader, now Key, version int64) (Key, error) {
	if version == now.Version {
		return now, nil
	}
	var entries []AuditEntry
	q := AuditQuery{Kind: "change", Subject: now.ID, Limit: 500}
	for len(entries) < maxHistory {
		page, err := r.Audit(ctx, now.TenantID, q)
		if err != nil {
			return Key{}, err
		}
		entries = append(entries, page...)
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].ID
	}
	return keyAt(now, entries, version)
}

func unversioned(format string, args ...any) error {
	var f faults
	f.add("version", format, args...)
	return f.err()
}
