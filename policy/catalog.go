package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Catalog is an immutable set of tools, sorted by exposed name.
type Catalog struct {
	tools  []Tool
	views  []toolView
	byName map[string]int
	byID   map[string]int
	mark   *catalogMark
}

// catalogMark tells catalogs apart. A cached bitset holds the mark and not the
// catalog, so that a grant nobody asks keeps no old catalog alive.
type catalogMark struct{ _ byte }

// NewCatalog sorts the tools. An error: two with one exposed name or id, or a
// tool whose id is not <slug>/<name> or whose exposed name is neither
// <slug>__<name> nor, as for built-ins, <name>.
func NewCatalog(tools []Tool) (*Catalog, error) {
	c := &Catalog{
		tools: slices.Clone(tools), views: make([]toolView, len(tools)), mark: new(catalogMark),
		byName: make(map[string]int, len(tools)), byID: make(map[string]int, len(tools)),
	}
	slices.SortStableFunc(c.tools, func(a, b Tool) int { return strings.Compare(a.Name, b.Name) })
	for i := range c.tools {
		t := &c.tools[i]
		v := viewOf(t)
		if !v.ok {
			return nil, fmt.Errorf("tool %q: id %q is not <instance>/<name>", t.Name, t.ID)
		}
		if t.Name != v.upstream && (v.builtin || t.Name != v.slug+"__"+v.upstream) {
			return nil, fmt.Errorf("tool %q: exposed name does not follow from id %q", t.Name, t.ID)
		}
		if _, dup := c.byName[t.Name]; dup {
			return nil, fmt.Errorf("tool %q is there twice", t.Name)
		}
		if _, dup := c.byID[t.ID]; dup {
			return nil, fmt.Errorf("tool %q: another has its id %q", t.Name, t.ID)
		}
		c.views[i], c.byName[t.Name], c.byID[t.ID] = v, i, i
	}
	return c, nil
}

// Len is the number of tools; a nil Catalog has none.
func (c *Catalog) Len() int {
	if c == nil {
		return 0
	}
	return len(c.tools)
}

// At is the i-th tool in order of exposed name. The caller must not change it.
func (c *Catalog) At(i int) *Tool { return &c.tools[i] }

// Lookup finds a tool by its exposed name; nil and -1 when there is none.
func (c *Catalog) Lookup(name string) (*Tool, int) {
	if c == nil {
		return nil, -1
	}
	return c.at(c.byName, name)
}

// LookupID finds a tool by its canonical id; nil and -1 when there is none.
func (c *Catalog) LookupID(id string) (*Tool, int) {
	if c == nil {
		return nil, -1
	}
	return c.at(c.byID, id)
}

func (c *Catalog) at(index map[string]int, key string) (*Tool, int) {
	i, ok := index[key]
	if !ok {
		return nil, -1
	}
	return &c.tools[i], i
}
