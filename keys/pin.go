package keys

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// KindTool is the kind of definition that is pinned; all others are stored as
// they were announced last.
const KindTool = "tool"

// Of the tools that an instance no longer announces, the pins are kept, so that
// one that comes back changed is still held against what was approved. An
// upstream can't make that grow without end: beyond MaxGone of them, new tools
// wait for approval and leave nothing behind when they go; and of a definition
// beyond maxGoneRaw bytes only the digest is kept, so that what it was can't be
// shown any more.
const (
	MaxGone    = 1000
	maxGoneRaw = 16 << 10
)

// Pin is the definition of a tool that was approved: by an operator, or by
// being the first that was seen. It is the instance's, whatever its connection
// becomes: what is approved are definitions, not servers.
type Pin struct {
	Name    string // upstream name
	Digest  string // "" = none was approved yet
	Version int64  // the edit that approved it; 0 = as first seen
}

// Pin is what was approved of the tool.
func (d *Definition) Pin() Pin { return Pin{Name: d.Name, Digest: d.Pinned, Version: d.PinVersion} }

// Quarantined tells a tool whose definition is not the approved one. When in
// doubt it is: a definition that no store has held against its pin has none.
func (d *Definition) Quarantined() bool {
	return d.Kind == KindTool && (d.Pinned == "" || d.Pinned != d.Digest)
}

// Accepted is the approved definition; empty where there is none, or it was too
// large to be kept. It has the pinned digest, so what no digest covers may be
// of a later announcement.
func (d *Definition) Accepted() json.RawMessage {
	if d.Quarantined() {
		return d.Approved
	}
	return d.Raw
}

// PinDefinitions is what is stored of an instance after an announcement: stored
// is what was before, tools that are gone among it. Every Store calls it in the
// transaction that writes the outcome, so that of several replicas the first
// to see a tool pins it, and no announcement ever moves a pin.
//
// A tool that was never seen is pinned as it is, unless the instance is known
// and either quarantineNew or the pins of MaxGone tools that are gone say that
// it waits for approval.
func PinDefinitions(stored, announced []Definition, quarantineNew bool) []Definition {
	known, gone := false, 0
	before := map[string]*Definition{}
	for i := range stored {
		if d := &stored[i]; d.Kind == KindTool {
			before[d.Name], known = d, true
			if d.Gone {
				gone++
			}
		}
	}
	hold := known && (quarantineNew || gone >= MaxGone)
	out := make([]Definition, 0, len(announced)+gone)
	for _, d := range announced {
		d.Pinned, d.PinVersion, d.Approved, d.Gone = "", 0, nil, false
		switch was := before[d.Name]; {
		case d.Kind != KindTool:
		case was != nil:
			d.Pinned, d.PinVersion = was.Pinned, was.PinVersion
			if d.Quarantined() {
				d.Approved = bytes.Clone(was.Accepted())
			}
			delete(before, d.Name)
		case !hold:
			d.Pinned = d.Digest
		}
		out = append(out, d)
	}
	for _, was := range before {
		if was.Pinned != "" {
			out = append(out, was.withdrawn())
		}
	}
	slices.SortFunc(out, func(a, b Definition) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return out
}

// withdrawn is what stays of a tool that is no longer announced: its pin, and
// what was pinned.
func (d *Definition) withdrawn() Definition {
	raw := d.Accepted()
	if len(raw) > maxGoneRaw {
		raw = nil
	}
	return Definition{InstanceID: d.InstanceID, Kind: d.Kind, Name: d.Name, Raw: bytes.Clone(raw), Digest: d.Pinned,
		SeenAt: d.SeenAt, Pinned: d.Pinned, PinVersion: d.PinVersion, Gone: true}
}

// Announced leaves out what is gone.
func Announced(defs []Definition) []Definition {
	return slices.DeleteFunc(slices.Clone(defs), func(d Definition) bool { return d.Gone })
}
