package mcp

import (
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// unlisted is what somebody may mean who asks about a name that nothing lists: a
// uri at an instance that may have it. Whether the upstream has it nobody here
// knows, and a policy decides it all the same.
func (c *catalog) unlisted(name string) *policy.Tool {
	slug, uri := splitName(name)
	scheme, _, absolute := strings.Cut(uri, ":")
	s := c.slugs[slug]
	if s == nil || !s.reads || !absolute || scheme == "" || len(uri) > maxUnlisted {
		return nil
	}
	t := readable(&s.instance, uri)
	return &t
}

// splitName takes an exposed name or a canonical id apart; the slug is empty when it
// is neither, or is that of a tool of the gateway's own. No slug has a separator
// in it, but uris do.
func splitName(name string) (slug, upstream string) {
	n := strings.IndexAny(name, "/_")
	switch {
	case n < 0:
		return "", name
	case name[n] == '/':
		return name[:n], name[n+1:]
	case strings.HasPrefix(name[n:], "__"):
		return name[:n], name[n+2:]
	}
	return "", name
}

// haveResources tells whether an instance with these definitions has resources.
func haveResources(defs []keys.Definition) bool {
	return slices.ContainsFunc(defs, func(d keys.Definition) bool {
		return d.Kind == kindResource.String() || d.Kind == kindTemplate.String()
	})
}
