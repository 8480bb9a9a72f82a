package mcp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// catalog is one tenant's tools at one moment: what policies see of them, and,
// at the same index, their encoded definitions and where their calls go. It is
// never changed, only replaced.
type catalog struct {
	tools   *policy.Catalog
	entries []entry
	slugs   map[string]*shelf // by instance slug
}

// entry is one tool on offer.
type entry struct {
	definition json.RawMessage // as clients see it
	mark       uint64          // of the definition, to see that it changed
	header     *mcpgo.Tool     // for x-mcp-header checks; nil = binds no header
	mount      *mount          // nil = built in
	upstream   string          // upstream name
	builtin    *builtin        // nil = an instance's
}

// shelf is one mounted instance in the catalog.
type shelf struct {
	instance keys.Instance
	indices  []int // of its tools
	mount    *mount
	known    bool // its tools were seen, now or before a restart
}

// lookup finds a tool by its exposed name; nils when there is none.
func (c *catalog) lookup(name string) (*policy.Tool, *entry) {
	if c == nil {
		return nil, nil
	}
	t, i := c.tools.Lookup(name)
	if t == nil {
		return nil, nil
	}
	return t, &c.entries[i]
}

// fingerprint sums up the names and definitions of the marked tools.
func (c *catalog) fingerprint(set policy.Bitset) uint64 {
	const prime = 1099511628211 // FNV-1a, 64 bits
	sum := uint64(14695981039346656037)
	for i := range c.entries {
		if set.Has(i) {
			sum = (sum ^ c.entries[i].mark) * prime
		}
	}
	return sum
}

// mounted is one instance's part of a catalog to be built.
type mounted struct {
	mount    *mount
	instance keys.Instance
	defs     []keys.Definition
	known    bool
}

// skipped is a definition that can't be offered.
type skipped struct{ name, reason string }

// newCatalog puts the built-ins and every mounted instance's tools together.
// What can't be offered is left out and reported by instance id.
func newCatalog(builtins []builtin, parts []mounted) (*catalog, map[string][]skipped, error) {
	var tools []policy.Tool
	byName := map[string]entry{}
	left := map[string][]skipped{}
	for i := range builtins {
		b := &builtins[i]
		tools = append(tools, b.tool())
		byName[b.name] = entry{definition: b.definition, mark: markOf(b.definition), builtin: b, upstream: b.name}
	}
	for _, part := range parts {
		for _, d := range part.defs {
			t, e, err := exposed(part, d)
			if err == nil {
				if _, dup := byName[t.Name]; dup {
					err = fmt.Errorf("another tool has this name")
				}
			}
			if err != nil {
				left[part.instance.ID] = append(left[part.instance.ID], skipped{d.Name, err.Error()})
				continue
			}
			tools = append(tools, t)
			byName[t.Name] = e
		}
	}
	sorted, err := policy.NewCatalog(tools)
	if err != nil {
		return nil, nil, err
	}
	c := &catalog{tools: sorted, entries: make([]entry, sorted.Len()), slugs: map[string]*shelf{}}
	for _, part := range parts {
		c.slugs[part.instance.Slug] = &shelf{instance: part.instance, mount: part.mount, known: part.known}
	}
	for i := range c.entries {
		c.entries[i] = byName[sorted.At(i).Name]
		slug, _, _ := strings.Cut(sorted.At(i).ID, "/")
		if s := c.slugs[slug]; s != nil {
			s.indices = append(s.indices, i)
		}
	}
	return c, left, nil
}

func exposed(part mounted, d keys.Definition) (policy.Tool, entry, error) {
	i := part.instance
	name := exposedName(i.Slug, d.Name)
	switch {
	case d.Kind != "tool":
		return policy.Tool{}, entry{}, fmt.Errorf("kind %q is not offered", d.Kind)
	case d.Name == "":
		return policy.Tool{}, entry{}, fmt.Errorf("has no name")
	case len(name) > maxExposedName:
		return policy.Tool{}, entry{}, fmt.Errorf("exposed name has more than %d characters", maxExposedName)
	}
	definition, err := expose(d.Raw, name)
	if err != nil {
		return policy.Tool{}, entry{}, err
	}
	header, err := headerTool(d.Raw)
	if err != nil {
		return policy.Tool{}, entry{}, err
	}
	category, effect := classify(i, d.Name, rawjson.Field(d.Raw, "annotations"))
	t := policy.Tool{
		ID: i.Slug + "/" + d.Name, Name: name, Category: category, Effect: effect,
		InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: i.WriteEnabled, Quarantined: d.Quarantined(),
	}
	return t, entry{definition: definition, mark: markOf(definition), header: header,
		mount: part.mount, upstream: d.Name}, nil
}

func markOf(definition json.RawMessage) uint64 {
	sum := sha256.Sum256(definition)
	return binary.BigEndian.Uint64(sum[:])
}

// shows tells whether the marked set has a tool of the shelf.
func (s *shelf) shows(set policy.Bitset) bool { return slices.ContainsFunc(s.indices, set.Has) }
