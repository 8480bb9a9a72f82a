package mcp

import "encoding/binary"

// appendText appends a text behind its length in bytes.
func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// cutText is the reverse of appendText; it takes a length in its shortest form only.
func cutText(b []byte) (text string, rest []byte, ok bool) {
	size, b, ok := cutCount(b)
	if !ok || size > len(b) {
		return "", nil, false
	}
	return string(b[:size]), b[size:], true
}

// cutCount reads a number that is no larger than what follows could hold.
func cutCount(b []byte) (n int, rest []byte, ok bool) {
	v, used := binary.Uvarint(b)
	if used <= 0 || used > 1 && b[used-1] == 0 || v > uint64(len(b)) {
		return 0, nil, false
	}
	return int(v), b[used:], true
}
