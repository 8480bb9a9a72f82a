package policy

import (
	"slices"
	"strings"
)

// names is a list of texts that lie one after another in one string. With
// thousands of keys the time to decide is the time to fetch a key's memory:
// gather lays all lists of a key side by side.
type names struct {
	text  string
	items []packed
}

// packed is where a text lies, and its ends, by which most texts are told apart
// without a look at the whole. kind and fixed are for patterns alone.
type packed struct {
	ends
	start  uint32
	length uint16
	kind   uint8 // target | shape<<2
	fixed  uint8 // how many bytes of head, and <<4 of tail, have to agree
}

// maxName is the longest text that fits; a longer one is no id, category or
// pattern, and matches nothing.
const maxName = 1<<16 - 1

// ends are the first and the last four bytes of a text; a shorter text has
// zeros, which no pattern has, in the places that it lacks.
type ends struct{ head, tail uint32 }

func endsOf(s string) ends {
	if n := len(s); n >= 4 {
		return ends{
			uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24,
			uint32(s[n-4]) | uint32(s[n-3])<<8 | uint32(s[n-2])<<16 | uint32(s[n-1])<<24,
		}
	}
	var e ends
	for i := range len(s) {
		e.head |= uint32(s[i]) << (8 * i)
		e.tail = e.tail>>8 | uint32(s[i])<<24
	}
	return e
}

// firstBytes and lastBytes mask the ends to what a pattern fixes.
var (
	firstBytes = [16]uint32{0, 0xff, 0xffff, 0xffffff, 0xffffffff}
	lastBytes  = [16]uint32{0, 0xff000000, 0xffff0000, 0xffffff00, 0xffffffff}
)

// namesOf has the list sorted and without duplicates.
func namesOf(list []string) names {
	var n names
	if len(list) == 0 {
		return n
	}
	list = slices.Clone(list)
	slices.Sort(list)
	for _, text := range slices.Compact(list) {
		n.add(text, packed{ends: endsOf(text)})
	}
	return n
}

func (n *names) add(text string, p packed) {
	if len(text) > maxName {
		return
	}
	p.start, p.length = uint32(len(n.text)), uint16(len(text))
	n.text += text
	n.items = append(n.items, p)
}

func (n *names) at(i int) string {
	p := &n.items[i]
	return n.text[p.start : p.start+uint32(p.length)]
}

func (n *names) strings() []string {
	var out []string
	for i := range n.items {
		out = append(out, n.at(i))
	}
	return out
}

// has looks a text up in a sorted list; e are its ends.
func (n *names) has(text string, e ends) bool {
	if len(n.items) > 32 {
		return n.search(text)
	}
	for i := range n.items {
		if n.items[i].ends == e && n.at(i) == text {
			return true
		}
	}
	return false
}

func (n *names) search(text string) bool {
	low, high := 0, len(n.items)
	for low < high {
		if mid := (low + high) / 2; n.at(mid) < text {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < len(n.items) && n.at(low) == text
}

// gather moves the lists into one piece of memory for the items and one for the
// texts.
func gather(lists ...*names) {
	count, size := 0, 0
	for _, n := range lists {
		count, size = count+len(n.items), size+len(n.text)
	}
	items := make([]packed, 0, count)
	var text strings.Builder
	text.Grow(size)
	for _, n := range lists {
		from, start := len(items), uint32(text.Len())
		text.WriteString(n.text)
		for _, p := range n.items {
			p.start += start
			items = append(items, p)
		}
		n.items = items[from:len(items):len(items)]
	}
	for _, n := range lists {
		n.text = text.String()
	}
}

func distinct(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	seen := make(map[string]struct{}, len(list))
	out := make([]string, 0, len(list))
	for _, s := range list {
		if _, dup := seen[s]; !dup {
			seen[s] = struct{}{}
			out = append(out, s)
		}
	}
	return out
}
