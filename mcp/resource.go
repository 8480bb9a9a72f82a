package mcp

import (
	"slices"

	"github.com/yosida95/uritemplate/v3"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// template is a URI template (RFC 6570) that uris are held against.
type template = uritemplate.Template

// parseTemplate is nil for one that can't be read: it is listed as announced,
// and no uri is its.
func parseTemplate(text string) *template {
	t, err := uritemplate.New(text)
	if err != nil {
		return nil
	}
	return t
}

// indexURIs notes which resources have a uri. Instances may have resources of
// one uri, for uris keep their names; then the first one counts, by slug, that
// the principal may read, and the others are read by narrowing (/mcp/{instance}).
func (c *catalog) indexURIs() {
	c.byURI, c.shared = map[string]int{}, map[string][]int{}
	o := &c.offers[kindResource]
	for i := range o.entries {
		uri := o.entries[i].upstream
		first, there := c.byURI[uri]
		switch {
		case !there:
			c.byURI[uri] = i
		case c.shared[uri] == nil:
			c.shared[uri] = []int{first, i}
		default:
			c.shared[uri] = append(c.shared[uri], i)
		}
	}
}

// hidden tells whether a resource of the marked ones is behind another one of
// its uri.
func (c *catalog) hidden(i int, set policy.Bitset) bool {
	all := c.shared[c.offers[kindResource].entries[i].upstream]
	at := slices.IndexFunc(all, func(j int) bool { return set.Has(j) })
	return at >= 0 && all[at] != i
}

// choice is one thing that a uri may mean, and the gate's word on it.
type choice struct {
	tool     *policy.Tool
	entry    *entry
	decision policy.Decision
}

// resource decides a uri: the listed resource, else a template that it fits,
// else what an instance has without listing it, if just one instance may be
// meant. Of several the first by slug that is allowed counts, so that nothing
// that is denied can be told from nothing at all. When none is allowed, it is
// the first, for the audit trail.
func (q *question) resource(grant *policy.Grant, uri string) (best choice) {
	best.decision = grant.Decide(q.session, nil, q.now)
	if q.catalog == nil {
		return best
	}
	consider := func(t *policy.Tool, e *entry) bool {
		d := grant.Decide(q.session, t, q.now)
		if best.tool == nil || d.Allowed() {
			best = choice{t, e, d}
		}
		return d.Allowed()
	}
	o := &q.catalog.offers[kindResource]
	if i, there := q.catalog.byURI[uri]; there {
		indices := q.catalog.shared[uri]
		if indices == nil {
			indices = []int{i}
		}
		for _, i := range indices {
			if consider(o.tools.At(i), &o.entries[i]) {
				return best
			}
		}
	}
	o = &q.catalog.offers[kindTemplate]
	for i := range o.entries {
		e := &o.entries[i]
		if e.template != nil && e.template.Match(uri) != nil && consider(o.tools.At(i), e) {
			return best
		}
	}
	if c, ok := q.unlisted(grant, uri); ok {
		return c
	}
	return best
}

// unlisted is a resource that nothing lists, at the one instance that has
// resources and that is allowed; ok is false when there is none, or several.
func (q *question) unlisted(grant *policy.Grant, uri string) (found choice, ok bool) {
	if len(uri) > maxUnlisted {
		return choice{}, false
	}
	for _, s := range q.catalog.slugs {
		if !s.reads {
			continue
		}
		t := readable(&s.instance, uri)
		if d := grant.Decide(q.session, &t, q.now); d.Allowed() {
			if ok {
				return choice{}, false
			}
			found, ok = choice{&t, &entry{mount: s.mount, upstream: uri}, d}, true
		}
	}
	return found, ok
}

// maxUnlisted is the longest uri that is tried without being listed, in bytes.
const maxUnlisted = 2048

// templateNamed finds a template by its text, as a completion names it.
func (q *question) templateNamed(grant *policy.Grant, text string) (best choice) {
	best.decision = grant.Decide(q.session, nil, q.now)
	if q.catalog == nil {
		return best
	}
	o := &q.catalog.offers[kindTemplate]
	for i := range o.entries {
		if o.entries[i].upstream != text {
			continue
		}
		d := grant.Decide(q.session, o.tools.At(i), q.now)
		if best.tool == nil || d.Allowed() {
			best = choice{o.tools.At(i), &o.entries[i], d}
		}
		if d.Allowed() {
			break
		}
	}
	return best
}
