package mcp

import (
	"slices"
	"strings"
)

// maxCoded is how often a uri may be percent-encoded over and over.
const maxCoded = 3

// spellings are what a server may take a uri for that nothing lists: itself, and
// what becomes of it when it is decoded, its scheme and host lowered, and its
// slashes made one (RFC 3986, 6.2.2). A policy speaks of texts, so each of them
// must be allowed. One with dot segments, which may be any other, has none.
func spellings(uri string) (all []string) {
	all = append(all, uri)
	for range maxCoded + 1 {
		if dotted(uri) {
			return nil
		}
		if plain := normal(uri); !slices.Contains(all, plain) {
			all = append(all, plain)
		}
		decoded := unescaped(uri)
		if decoded == uri {
			return all
		}
		uri = decoded
		all = append(all, uri)
	}
	return nil
}

// dotted tells whether a part of the uri is . or ..
func dotted(uri string) bool {
	if !strings.Contains(uri, ".") {
		return false
	}
	for part := range strings.FieldsFuncSeq(uri, func(r rune) bool { return strings.ContainsRune(`/\?#&=:;`, r) }) {
		if part == "." || part == ".." {
			return true
		}
	}
	return false
}

// normal lowers a uri's scheme and host, and has one slash for several, but for
// those behind a colon, which may be of a uri within.
func normal(uri string) string {
	uri = strings.ReplaceAll(uri, `\`, "/")
	scheme, rest, found := strings.Cut(uri, ":")
	if !found {
		return uri
	}
	head := strings.ToLower(scheme) + ":"
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		host := after
		if end := strings.IndexAny(after, "/?#"); end >= 0 {
			host = after[:end]
		}
		head, rest = head+"//"+strings.ToLower(host), after[len(host):]
	}
	var out strings.Builder
	out.WriteString(head)
	for i := range len(rest) {
		if rest[i] == '/' && i > 0 && rest[i-1] == '/' && (i < 2 || rest[i-2] != ':') {
			continue
		}
		out.WriteByte(rest[i])
	}
	return out.String()
}

// unescaped decodes every percent-encoding once; what is none stays.
func unescaped(uri string) string {
	if !strings.Contains(uri, "%") {
		return uri
	}
	out := make([]byte, 0, len(uri))
	for i := 0; i < len(uri); i++ {
		if uri[i] == '%' && i+2 < len(uri) {
			high, low := hexDigit(uri[i+1]), hexDigit(uri[i+2])
			if high >= 0 && low >= 0 {
				out = append(out, byte(high<<4|low))
				i += 2
				continue
			}
		}
		out = append(out, uri[i])
	}
	return string(out)
}

// hexDigit is the value of a digit, negative for what is none.
func hexDigit(c byte) int {
	at := strings.IndexByte("0123456789abcdefABCDEF", c)
	if at >= 16 {
		at -= 6
	}
	return at
}
