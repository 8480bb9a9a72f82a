package mcp

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"
	"sync"
	"time"
)

// maxSessionID is the most characters of a session's id: far below what servers
// and proxies take in one header.
const maxSessionID = 1 << 10

// sessionID is what the id of a legacy session says: all that initialize fixed, so
// that another server with the same root secret can go on with the session. The
// protocol version is not in it: each request names its own, and nothing depends
// on the first one.
type sessionID struct {
	random    [16]byte
	issued    time.Time // at initialize; to the millisecond
	bound     bool      // to the process that made it; then the rest is empty
	can       abilities
	client    string
	narrowing string // its source; "" = unnarrowed
}

// sessionFormat is the first byte of an id's content.
const sessionFormat = 1

// sessionMAC is the length of an id's MAC, in bytes and in characters.
const (
	sessionMAC     = 24
	sessionMACText = sessionMAC * 4 / 3
)

// sessionIDs makes and reads ids: base64url of the content, ".", base64url of a MAC
// over it and whose it is. The content is no secret, for its client said all of
// it; only nobody else may say it, and nobody may say it for another key.
type sessionIDs struct {
	macs sync.Pool // of hash.Hash under the key: making one costs more than using it
}

func newSessionIDs(key []byte) *sessionIDs {
	return &sessionIDs{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// issue makes a new id. One that would be too long is bound to this process: to
// leave part of a narrowing out would widen it elsewhere.
func (c *sessionIDs) issue(of owner, said *sessionID) (id string) {
	_, _ = rand.Read(said.random[:]) // never fails
	content := said.append(nil)
	if base64.RawURLEncoding.EncodedLen(len(content))+1+sessionMACText > maxSessionID {
		said.bound = true
		content = said.append(nil)
	}
	text := base64.RawURLEncoding.EncodeToString(content)
	return text + "." + c.sign(of, text)
}

func (c *sessionIDs) sign(of owner, text string) string {
	h := c.macs.Get().(hash.Hash)
	defer c.macs.Put(h)
	h.Reset()
	for _, part := range []string{of.tenantID, of.id, text} {
		_, _ = h.Write(appendText(nil, part))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:sessionMAC])
}

// read reads an id that issue made for the same owner; ok is false for everything
// else.
func (c *sessionIDs) read(of owner, id string) (said sessionID, ok bool) {
	text, mac, found := strings.Cut(id, ".")
	if !found || len(id) > maxSessionID || !hmac.Equal([]byte(mac), []byte(c.sign(of, text))) {
		return sessionID{}, false
	}
	content, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return sessionID{}, false
	}
	return parseSessionID(content)
}

func (i sessionID) append(b []byte) []byte {
	b = append(b, sessionFormat, flags(i.bound))
	b = append(b, i.random[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(i.issued.UnixMilli()))
	if i.bound {
		return b
	}
	b = append(b, i.can.bits())
	b = appendText(b, i.client)
	return appendText(b, i.narrowing)
}

// parseSessionID reads what append writes, and nothing that it does not.
func parseSessionID(b []byte) (i sessionID, ok bool) {
	const head = 2 + len(i.random) + 8
	if len(b) < head || b[0] != sessionFormat || b[1] > 1 {
		return sessionID{}, false
	}
	i.bound = b[1] == 1
	copy(i.random[:], b[2:])
	i.issued = time.UnixMilli(int64(binary.BigEndian.Uint64(b[head-8:])))
	b = b[head:]
	if i.bound {
		return i, len(b) == 0
	}
	if len(b) == 0 {
		return sessionID{}, false
	}
	var known, named, limited bool
	i.can, known = abilitiesFrom(b[0])
	i.client, b, named = cutText(b[1:])
	i.narrowing, b, limited = cutText(b)
	if !known || !named || !limited || len(b) > 0 {
		return sessionID{}, false
	}
	return i, true
}

// flags packs booleans, the first into the lowest bit.
func flags(on ...bool) (b byte) {
	for n, set := range on {
		if set {
			b |= 1 << n
		}
	}
	return b
}
