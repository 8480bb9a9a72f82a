package keys

import (
	"hash/crc32"
	"strings"
)

// WithoutToken cuts every token in a text to its shown part: a key pasted where
// a name belongs must not be kept with what was asked, nor told. It finds what
// NewToken can make, whatever stands around it, and what has a token's length
// after _ or -, for a mistyped one still tells most of it; JSON stays JSON.
func WithoutToken(s string) string {
	var out strings.Builder
	kept, run := 0, 0
	for i := range len(s) {
		if !isAlphanumeric(s[i]) {
			run = 0
			continue
		}
		if run++; run < tokenBody+tokenChecksum {
			continue
		}
		body := i + 1 - tokenBody - tokenChecksum
		if startsBefore(s[kept:i+1], body-kept) || run == tokenBody+tokenChecksum && mistyped(s, body, i+1) {
			out.WriteString(s[kept : body+tokenShown])
			out.WriteString("…")
			kept, run = i+1, 0
		}
	}
	if kept == 0 {
		return s
	}
	return out.String() + s[kept:]
}

func holdsToken(s string) bool { return WithoutToken(s) != s }

// mistyped tells whether what is between two places stands where a token's body
// and checksum would.
func mistyped(s string, from, to int) bool {
	return from > 0 && (s[from-1] == '_' || s[from-1] == '-') && (to == len(s) || !isAlphanumeric(s[to]))
}

// startsBefore tells whether s ends in a token whose body is at the given
// place, under any prefix that a token can have. It takes the bytes out of the
// checksum again, from the last to the first, so that one pass tries all prefixes:
// where a token starts, what is left is where every CRC-32 starts.
func startsBefore(s string, body int) bool {
	sum, ok := checksumOf(s[body+tokenBody:])
	if !ok {
		return false
	}
	register := ^sum
	for i := body + tokenBody - 1; i >= max(0, body-maxTokenPrefix); i-- {
		if c := s[i]; !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
		n := crcByTop[register>>24]
		register = (register^crc32.IEEETable[n])<<8 | uint32(n^s[i])
		if i < body && register == ^uint32(0) {
			return true
		}
	}
	return false
}

// crcByTop finds an entry of the CRC's table by its highest byte, which no two share.
var crcByTop = func() (at [256]byte) {
	for i, entry := range crc32.IEEETable {
		at[entry>>24] = byte(i)
	}
	return at
}()

// checksumOf reads what TokenChecksum writes; most texts are none.
func checksumOf(s string) (uint32, bool) {
	var sum uint64
	for i := range len(s) {
		sum = sum*uint64(len(base62)) + uint64(strings.IndexByte(base62, s[i]))
	}
	return uint32(sum), sum <= 1<<32-1
}
