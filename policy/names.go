package policy

import (
	"slices"
	"strings"
	"unique"
)

// names is a list of texts. With thousands of keys, the time to decide is the
// time to fetch a key's memory; so the lists of one key share one string, which
// has the entries of all lists first (itemSize bytes each) and then their texts.
type names struct {
	mem         string
	from, count uint32 // where in mem the entries begin, and how many there are
}

// item is an entry: where its text lies in mem, and the text's ends, by which
// most texts are told apart without a look at the whole. kind and fixed are for
// patterns alone.
type item struct {
	ends
	start  uint32
	length uint16
	kind   uint8 // target | shape<<2
	fixed  uint8 // index into fixedEnds
}

const (
	itemSize = 16
	// maxName is the longest text that fits; a longer one is no id, category or
	// pattern, and matches nothing.
	maxName = 1<<16 - 1
)

// ends are the first four bytes of a text (the low half) and the last four; a
// shorter text has zeros, which no pattern has, in the places that it lacks.
type ends uint64

func endsOf(s string) ends {
	if n := len(s); n >= 4 {
		return ends(word(s)) | ends(word(s[n-4:]))<<32
	}
	var head, tail uint32
	for i := range len(s) {
		head |= uint32(s[i]) << (8 * i)
		tail = tail>>8 | uint32(s[i])<<24
	}
	return ends(head) | ends(tail)<<32
}

func (e ends) head() uint32 { return uint32(e) }

// endsAt are the ends of the item that begins s.
func endsAt(s string) ends { return ends(word(s)) | ends(word(s[4:]))<<32 }

// word reads four bytes, the lowest first.
func word(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func (n *names) item(i int) item {
	s := n.mem[int(n.from)+i*itemSize:][:itemSize]
	last := word(s[12:])
	return item{
		ends: endsAt(s), start: word(s[8:]),
		length: uint16(last), kind: uint8(last >> 16), fixed: uint8(last >> 24),
	}
}

func (n *names) size() int { return int(n.count) }

func (n *names) at(i int) string {
	s := n.mem[int(n.from)+i*itemSize:][:itemSize]
	return n.mem[word(s[8:]):][:uint16(word(s[12:]))]
}

func (n *names) strings() []string {
	var out []string
	for i := range n.size() {
		out = append(out, n.at(i))
	}
	return out
}

// has looks a text up in a sorted list; e are its ends.
func (n *names) has(text string, e ends) bool {
	if n.count > 32 {
		return n.search(text)
	}
	mem := n.mem[n.from:][:n.count*itemSize]
	for i := 0; len(mem) >= itemSize; i++ {
		if endsAt(mem[:itemSize]) == e && n.at(i) == text {
			return true
		}
		mem = mem[itemSize:]
	}
	return false
}

func (n *names) search(text string) bool {
	low, high := 0, n.size()
	for low < high {
		if mid := (low + high) / 2; n.at(mid) < text {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < n.size() && n.at(low) == text
}

// entry is an item with its text, before both are laid out.
type entry struct {
	item
	text string
}

// namesOf has the list sorted and without duplicates.
func namesOf(list []string) names {
	list = slices.Clone(list)
	slices.Sort(list)
	var entries []entry
	for _, text := range slices.Compact(list) {
		entries = append(entries, entry{item{ends: endsOf(text)}, text})
	}
	return layOut(entries)[0]
}

func (n *names) entries() []entry {
	var out []entry
	for i := range n.size() {
		out = append(out, entry{n.item(i), n.at(i)})
	}
	return out
}

// gather moves the lists into one string. Many keys are made alike, and those
// with the same lists share it.
func gather(lists ...*names) {
	var all [][]entry
	for _, n := range lists {
		all = append(all, n.entries())
	}
	laid := layOut(all...)
	shared := unique.Make(laid[0].mem).Value()
	for i, n := range laid {
		n.mem = shared
		*lists[i] = n
	}
}

func layOut(lists ...[]entry) []names {
	count, size := 0, 0
	for i := range lists {
		lists[i] = slices.DeleteFunc(lists[i], func(e entry) bool { return len(e.text) > maxName })
		count += len(lists[i])
		for _, e := range lists[i] {
			size += len(e.text)
		}
	}
	var items, texts strings.Builder
	items.Grow(count*itemSize + size)
	out := make([]names, len(lists))
	for i, list := range lists {
		out[i] = names{from: uint32(items.Len()), count: uint32(len(list))}
		for _, e := range list {
			start := uint32(count*itemSize + texts.Len())
			last := uint32(len(e.text)) | uint32(e.kind)<<16 | uint32(e.fixed)<<24
			for _, w := range [...]uint32{uint32(e.ends), uint32(e.ends >> 32), start, last} {
				items.Write([]byte{byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24)})
			}
			texts.WriteString(e.text)
		}
	}
	items.WriteString(texts.String())
	mem := items.String()
	for i := range out {
		out[i].mem = mem
	}
	return out
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
