package mcp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// catalog is what one tenant has on offer at one moment, kind by kind. It is
// never changed, only replaced.
type catalog struct {
	offers [upstream.Kinds]offer
	slugs  map[string]*shelf // by instance slug
	shared map[string][]int  // the resources of a uri, by slug; only those of several
	bare   string            // slug of the instance whose things clients name without it; "" = none
	byURI  map[string]int    // a resource of a uri: the only one, unless shared has it
}

// offer is all of one kind: what policies see, and at the same index what
// clients do, and where requests go. Policies see prompts, resources and
// templates as they see tools that only read: named <slug>__<name, uri or
// uriTemplate>.
type offer struct {
	tools   *policy.Catalog
	entries []entry
}

// entry is one thing on offer.
type entry struct {
	definition json.RawMessage // as clients see it
	mark       uint64          // of the definition, to see that it changed
	header     *mcpgo.Tool     // for x-mcp-header checks; nil = binds no header
	mount      *mount          // nil = built in
	upstream   string          // upstream name, uri or uriTemplate
	builtin    *builtin        // nil = an instance's
	template   template        // of a template that uris can be held against
	tasks      string          // execution.taskSupport of a tool; "" = not said
	seen       string          // what a decision sees of it, for the audit trail; "" = not made
}

// shelf is one mounted instance in the catalog.
type shelf struct {
	instance keys.Instance
	indices  [upstream.Kinds][]int // of what it offers
	mount    *mount
	known    bool // its lists were seen, now or before a restart
	reads    bool // it has resources, be they listed or not
}

// lookup finds a tool or a prompt by the name that clients have for it; nils when
// there is none.
func (c *catalog) lookup(k kind, name string) (*policy.Tool, *entry) {
	if c == nil {
		return nil, nil
	}
	if c.bare != "" {
		name = exposedName(c.bare, name)
	}
	t, i := c.offers[k].tools.Lookup(name)
	if t == nil {
		return nil, nil
	}
	return t, &c.offers[k].entries[i]
}

// fingerprint sums up the names and definitions of what is marked.
func (o *offer) fingerprint(set policy.Bitset) uint64 {
	const prime = 1099511628211 // FNV-1a, 64 bits
	sum := uint64(14695981039346656037)
	for i := range o.entries {
		if set.Has(i) {
			sum = (sum ^ o.entries[i].mark) * prime
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
	reads    bool
	bare     bool // clients see its own names: it is the only one, and there are no built-ins
}

// skipped is a definition that can't be offered.
type skipped struct{ name, reason string }

// draft is an offer that is being put together.
type draft struct {
	tools  []policy.Tool
	byName map[string]entry
}

func (d *draft) add(t policy.Tool, e entry) error {
	if _, dup := d.byName[t.Name]; dup {
		return fmt.Errorf("another one has this name")
	}
	d.tools, d.byName[t.Name] = append(d.tools, t), e
	return nil
}

// seens are what decisions see of tools, one text for all of a class: an instance
// may have thousands.
type seens map[policy.Tool]string

func (s seens) of(t policy.Tool) string {
	t.ID, t.Name = "", ""
	text, there := s[t]
	if !there {
		text = keys.SeenOf(&t)
		s[t] = text
	}
	return text
}

func (d *draft) offer(classes seens) (offer, error) {
	sorted, err := policy.NewCatalog(d.tools)
	if err != nil {
		return offer{}, err
	}
	o := offer{tools: sorted, entries: make([]entry, sorted.Len())}
	for i := range o.entries {
		o.entries[i] = d.byName[sorted.At(i).Name]
		o.entries[i].seen = classes.of(*sorted.At(i))
	}
	return o, nil
}

// newCatalog puts the built-ins and what every mounted instance lists together.
// What can't be offered is left out and reported by instance id.
func newCatalog(builtins []builtin, parts []mounted) (*catalog, map[string][]skipped, error) {
	var drafts [upstream.Kinds]draft
	for k := range drafts {
		drafts[k].byName = map[string]entry{}
	}
	left := map[string][]skipped{}
	for i := range builtins {
		b := &builtins[i]
		_ = drafts[kindTool].add(b.tool(), entry{definition: b.definition, mark: markOf(b.definition), builtin: b, upstream: b.name})
	}
	for _, part := range parts {
		for _, d := range part.defs {
			k, t, e, err := exposed(part, d)
			if err == nil {
				err = drafts[k].add(t, e)
			}
			if err != nil {
				left[part.instance.ID] = append(left[part.instance.ID], skipped{d.Name, err.Error()})
			}
		}
	}
	c := &catalog{slugs: map[string]*shelf{}}
	for _, part := range parts {
		if part.bare {
			c.bare = part.instance.Slug
		}
		c.slugs[part.instance.Slug] = &shelf{instance: part.instance, mount: part.mount, known: part.known, reads: part.reads}
	}
	classes := seens{}
	for k := range drafts {
		var err error
		if c.offers[k], err = drafts[k].offer(classes); err != nil {
			return nil, nil, err
		}
		c.shelve(kind(k))
	}
	c.indexURIs()
	return c, left, nil
}

// shelve notes what each instance offers of a kind.
func (c *catalog) shelve(k kind) {
	o := &c.offers[k]
	for i := range o.entries {
		if s := c.slugs[slugOf(o.tools.At(i))]; s != nil {
			s.indices[k] = append(s.indices[k], i)
		}
	}
}

func markOf(definition json.RawMessage) uint64 {
	sum := sha256.Sum256(definition)
	return binary.BigEndian.Uint64(sum[:])
}

// shows tells whether the marked set has something of this kind of the shelf.
func (s *shelf) shows(k kind, set policy.Bitset) bool {
	return slices.ContainsFunc(s.indices[k], set.Has)
}
