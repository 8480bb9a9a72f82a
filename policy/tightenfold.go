package policy

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// folding is a pattern that stands for several: all that begin with its prefix.
type folding struct {
	prefix string // at least <slug>/
	saved  int    // patterns fewer
	extra  int    // visible tools that it takes in and that were not used
}

// fold makes at most MaxPatterns of the sorted patterns, by prefixes: first those
// that take in the fewest others for each pattern saved, then those that save
// the most. ok is false where the present list admits too few.
func (n *naming) fold(list []string) (out []string, ok bool) {
	before, extra := len(list), 0
	var applied []string
	for _, f := range n.foldings(list) {
		if len(list) <= MaxPatterns {
			break
		}
		if slices.ContainsFunc(applied, func(p string) bool { return strings.HasPrefix(f.prefix, p) }) {
			continue
		}
		from, to := withPrefix(list, f.prefix)
		list = slices.Replace(list, from, to, f.prefix+"*")
		applied = append(slices.DeleteFunc(applied, func(p string) bool { return strings.HasPrefix(p, f.prefix) }), f.prefix)
	}
	if len(list) > MaxPatterns {
		n.note("it uses %d tools, for which there is no list of at most %d patterns within the present one, so the list of tools is left as it is", before, MaxPatterns)
		return nil, false
	}
	for _, prefix := range applied {
		if p, err := ParsePattern(prefix + "*"); err == nil {
			extra += n.extra(p)
		}
	}
	n.note("it uses %d tools, more than a list can name: %d are named by prefixes%s", before, before-len(list)+len(applied), others(extra))
	return list, true
}

// foldings are those that the present list admits, the best first: the prefixes
// that neighbours in the sorted list share.
func (n *naming) foldings(list []string) []folding {
	unused := make([]string, len(n.visible))
	for i := range n.visible {
		unused[i] = n.visible[i].ID
	}
	slices.Sort(unused)
	var all []folding
	seen := map[string]bool{}
	for i := 1; i < len(list); i++ {
		for _, prefix := range []string{shared(list[i-1], list[i]), list[i][:strings.IndexByte(list[i], '/')+1]} {
			if seen[prefix] || !strings.Contains(prefix, "/") || strings.Contains(prefix, "*") {
				continue
			}
			seen[prefix] = true
			if p, err := ParsePattern(prefix + "*"); err != nil || !n.admits(p) {
				continue
			}
			from, to := withPrefix(list, prefix)
			if saved := to - from - 1; saved > 0 {
				first, last := withPrefix(unused, prefix)
				all = append(all, folding{prefix, saved, last - first})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b folding) int {
		return cmp.Or(cmp.Compare(a.extra*b.saved, b.extra*a.saved), cmp.Compare(b.saved, a.saved),
			cmp.Compare(len(b.prefix), len(a.prefix)), cmp.Compare(a.prefix, b.prefix))
	})
	return all
}

// shared is what two texts have in front, before a * and in whole characters.
func shared(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] && a[n] != '*' {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return a[:n]
}

// withPrefix is where in the sorted list the texts with the prefix are.
func withPrefix(list []string, prefix string) (from, to int) {
	from, _ = slices.BinarySearch(list, prefix)
	for to = from; to < len(list) && strings.HasPrefix(list[to], prefix); to++ {
	}
	return from, to
}
