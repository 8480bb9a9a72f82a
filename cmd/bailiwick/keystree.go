package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// keyForest answers keys tree.
type keyForest struct {
	Path  []keyStanding `json:"path"` // the keys above the one that was asked for, from the top
	Keys  []*keyNode    `json:"apiKeys"`
	Total int           `json:"total"` // of keys, with those below
}

func (c *cli) keysTree() *cobra.Command {
	return c.onKeys("tree [KEY]", "Show the tenant's keys, or KEY with what is above and below it, as a tree", upTo("KEY"), func(cmd *cobra.Command, out *output) keyAct {
		var revoked bool
		cmd.Flags().BoolVar(&revoked, "revoked", false, "revoked keys too; without it only those that have others below them")
		cmd.Long = "Show the tenant's keys as a tree, each below the key that it is a child of. KEY is an\n" +
			"id or a handle: then only that key, those above it, and those below it.\n\n" +
			"A key that is disabled, expired or revoked ends all keys below it; one that is paused\n" +
			"stops their MCP access. EXPIRES is when the first of a key and those above it does."
		cmd.Example = "  bailiwick keys tree\n  bailiwick keys tree orchestrator --revoked -o json"
		return func(ctx context.Context, ring keyring, args []string) error {
			list, err := ring.Keys(ctx, keyQuery{revoked: true})
			if err != nil {
				return err
			}
			now, name := time.Now(), strings.Join(args, "")
			forest, ok := forestOf(list.Keys, name, revoked, now)
			if !ok || len(args) > 0 && name == "" {
				return absent(keys.ErrNotFound, "key", name)
			}
			return out.write(c.out, forest, row{"KEY", "NAME", "STATE", "EXPIRES", "ID"}, forest.rows(now))
		}
	})
}

// forestOf is the tree of all keys, or of the one with the id or handle; "" is
// all. Revoked keys are left out that have no others below them, unless they
// are asked for.
func forestOf(list []wire.Key, idOrHandle string, revoked bool, now time.Time) (keyForest, bool) {
	f := keyForest{Path: []keyStanding{}, Keys: growKeyTree(list, now)}
	switch n := findKey(f.Keys, idOrHandle); {
	case idOrHandle != "" && n == nil:
		return f, false
	case idOrHandle != "":
		f.Path, f.Keys = n.path(), []*keyNode{n}
		if !revoked {
			n.Children = prune(n.Children)
		}
	case !revoked:
		f.Keys = prune(f.Keys)
	}
	f.Total = countKeys(f.Keys)
	return f, true
}

func (f keyForest) rows(now time.Time) (rows []row) {
	indent := ""
	for i := range f.Path {
		rows = append(rows, f.Path[i].row(indent, now))
		indent = strings.Repeat("    ", i) + "└── "
	}
	below := strings.Repeat("    ", len(f.Path))
	for _, n := range f.Keys {
		rows = n.rows(rows, indent, below, now)
	}
	return rows
}

// rows adds the key's row, and those of the keys below it.
func (n *keyNode) rows(rows []row, indent, below string, now time.Time) []row {
	rows = append(rows, n.row(indent, now))
	for i, child := range n.Children {
		if i < len(n.Children)-1 {
			rows = child.rows(rows, below+"├── ", below+"│   ", now)
		} else {
			rows = child.rows(rows, below+"└── ", below+"    ", now)
		}
	}
	return rows
}

func (s *keyStanding) row(indent string, now time.Time) row {
	expires := untilText(s.EndsAt, now)
	if s.endsWith != nil {
		expires += " with " + s.endsWith.Handle
	}
	return row{indent + s.Handle, s.Name, s.stateText(), expires, s.ID}
}

// stateText is the key's own state, and what the keys above it make of it.
func (s *keyStanding) stateText() string {
	var above string
	switch {
	case s.unseen:
		above = fmt.Sprintf("orphan: parent %s is purged, or not shown to this key", *s.ParentKeyID)
	case s.Orphan:
		above = fmt.Sprintf("orphan: ended with parent %s, which is purged", *s.ParentKeyID)
	case s.ender != nil:
		above = fmt.Sprintf("ended by %s (%s)", s.ender.Handle, s.ender.State)
	case s.EndedBy != nil:
		above = "ended by " + *s.EndedBy + " (purged)"
	case s.pauser != nil:
		above = "paused by " + s.pauser.Handle
	}
	switch {
	case above == "":
		return s.State
	case s.State == "active" && !s.unseen:
		return above
	}
	return s.State + ", " + above
}

// untilText is a time as people count: in 59m, 3d ago, never.
func untilText(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	left := t.Sub(now)
	if left <= 0 {
		return spanText(-left) + " ago"
	}
	return "in " + spanText(left)
}

func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= time.Minute {
		d = d.Round(time.Minute)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day && d%time.Hour > 0:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d < 2*365*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}
