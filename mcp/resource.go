package mcp

import (
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

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
	for _, all := range c.shared { // a-b__x comes before a__x
		slices.SortFunc(all, func(i, j int) int { return strings.Compare(slugOf(o.tools.At(i)), slugOf(o.tools.At(j))) })
	}
}

// slugOf is the instance of a tool, or of what policies see as one.
func slugOf(t *policy.Tool) string {
	slug, _, _ := strings.Cut(t.ID, "/")
	return slug
}

// inFront is the marked resources without those that are behind another marked
// one of their uri. The marks may be somebody else's, so they are not changed.
func (c *catalog) inFront(set policy.Bitset) policy.Bitset {
	out := set
	for _, all := range c.shared {
		first := slices.IndexFunc(all, set.Has)
		if first < 0 {
			continue
		}
		for _, i := range all[first+1:] {
			if !set.Has(i) {
				continue
			}
			if &out[0] == &set[0] {
				out = slices.Clone(set)
			}
			out[i>>6] &^= 1 << (i & 63)
		}
	}
	return out
}

// choice is one thing that a uri may mean, and the gate's word on it.
type choice struct {
	tool     *policy.Tool
	entry    *entry
	decision policy.Decision
}

// maxUnlisted is the longest uri that is tried without being listed, in bytes;
// listed ones are no longer.
const maxUnlisted = 2048

// maxMatching bounds the work of holding one uri against templates, which
// instances write: some twenty milliseconds.
const maxMatching = 1 << 22

// resource decides a uri: the listed resource, else a template that it fits,
// else what an instance has without listing it, if just one instance may be
// meant. Of several the first that is allowed counts, so that nothing that is
// denied can be told from nothing at all. When none is allowed, it is
// the first, for the audit trail.
func (q *question) resource(grant *policy.Grant, uri string) (best choice) {
	best.decision = grant.Decide(q.session, nil, q.now)
	if q.catalog == nil {
		return best
	}
	o := &q.catalog.offers[kindResource]
	if i, there := q.catalog.byURI[uri]; there {
		indices := q.catalog.shared[uri]
		if indices == nil {
			indices = []int{i}
		}
		for _, i := range indices {
			c := choice{o.tools.At(i), &o.entries[i], grant.Decide(q.session, o.tools.At(i), q.now)}
			if c.decision.Allowed() {
				return c
			}
			if best.tool == nil {
				best = c
			}
		}
	}
	if len(uri) > maxUnlisted {
		return best
	}
	all := spellings(uri)
	if all == nil {
		return best
	}
	if c, ok := q.templated(grant, all, &best); ok {
		return c
	}
	if c, ok := q.unlisted(grant, all); ok {
		return c
	}
	return best
}

// templated is a resource of a template. The template must be allowed, and so
// must the uri at its instance: what is denied by its own uri is not to be had by
// a template that it fits. A denied one that fits is the best answer when there
// is no other. all are the uri and its other spellings.
func (q *question) templated(grant *policy.Grant, all []string, best *choice) (found choice, ok bool) {
	uri := all[0]
	o := &q.catalog.offers[kindTemplate]
	work, idle := maxMatching, maxMatching // for what is allowed, and for what is not
	for i := range o.entries {
		e, t := &o.entries[i], o.tools.At(i)
		d := grant.Decide(q.session, t, q.now)
		switch {
		case d.Allowed():
			if !e.template.fits(uri, &work) {
				continue
			}
			itself, d := q.asSpelled(grant, slugOf(t), all)
			if d.Allowed() {
				return choice{t, e, d}, true
			}
			if best.tool == nil {
				*best = choice{itself, e, d}
			}
		case best.tool == nil && e.template.fits(uri, &idle):
			*best = choice{t, e, d}
		}
	}
	return choice{}, false
}

// asSpelled decides all spellings of a uri at an instance. It answers the first, as
// policies see it, or that which is denied.
func (q *question) asSpelled(grant *policy.Grant, slug string, all []string) (t *policy.Tool, d policy.Decision) {
	for i, uri := range slices.Backward(all) {
		t = q.catalog.itself(slug, uri)
		if d = grant.Decide(q.session, t, q.now); i == 0 || !d.Allowed() {
			break
		}
	}
	return t, d
}

// itself is a uri as policies see it at an instance: as listed, or as it would be.
func (c *catalog) itself(slug, uri string) *policy.Tool {
	if t, _ := c.offers[kindResource].tools.LookupID(slug + "/" + uri); t != nil {
		return t
	}
	t := readable(&c.slugs[slug].instance, uri)
	return &t
}

// unlisted is a resource that nothing lists, at the one instance that has
// resources and that is allowed; ok is false when there is none, or several.
func (q *question) unlisted(grant *policy.Grant, all []string) (found choice, ok bool) {
	uri := all[0]
	for slug, s := range q.catalog.slugs {
		if !s.reads {
			continue
		}
		if t, d := q.asSpelled(grant, slug, all); d.Allowed() {
			if ok {
				return choice{}, false
			}
			found, ok = choice{t, &entry{mount: s.mount, upstream: uri}, d}, true
		}
	}
	if ok { // what is listed was decided before: it is denied there for what it is
		listed, _ := q.catalog.offers[kindResource].tools.LookupID(found.tool.ID)
		ok = listed == nil
	}
	return found, ok
}

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
