package mcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// stateTTL is how long the state that an upstream gave with its questions can
// be sent back.
const stateTTL = time.Hour

// requestState is what the requestState of a result that asks for input says
// (2026-07-28, multi round-trip requests). It goes through the client's hands,
// so it is sealed: nobody reads or makes one but the gateway.
type requestState struct {
	kind    stateKind
	round   uint64 // of a parked call, or of an approved one: every round takes one answer
	text    string // the upstream's own state, or the id of a parked call or an approval
	expires time.Time
}

type stateKind byte

const (
	stateUpstream stateKind = 1 // the upstream's own, wrapped
	stateParked   stateKind = 2 // a call that waits here for answers
	stateHeld     stateKind = 3 // a call that waits for a person's approval
	stateApproved stateKind = 4 // the upstream's own, or none, of a call that was approved
)

// stateFormat is the first byte of a sealed state; it is authenticated as well.
const stateFormat = 1

// stateFixed is the size of what stands before the text: kind, round, expiry.
const stateFixed = 1 + 8 + 8

// stateSealer seals states with AES-256-GCM.
type stateSealer struct{ aead cipher.AEAD }

// newStateSealer takes a key of 32 bytes; any other is an error.
func newStateSealer(key []byte) (*stateSealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &stateSealer{aead}, nil
}

// stateBinding is whose state it is and for which request: it opens for no other.
type stateBinding [sha256.Size]byte

// bindingOf sums up the principal, the instance and what is asked of it. The
// arguments count as they were sent: a retry is the same request (2026-07-28).
func bindingOf(r *request, v verdict) stateBinding {
	h := sha256.New()
	arguments := sha256.Sum256(r.msg.arguments)
	has := "absent"
	if r.msg.arguments != nil {
		has = "present"
	}
	instance := "" // a built-in tool's
	if v.entry.mount != nil {
		instance = v.entry.mount.instance.Load().ID
	}
	for _, part := range []string{r.principal.TenantID(), r.principal.ID(), instance,
		r.msg.method, v.entry.upstream, v.target.name, has, string(arguments[:])} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return stateBinding(h.Sum(nil))
}

// seal is the state as text for a client.
func (s *stateSealer) seal(b stateBinding, state requestState) string {
	plain := binary.BigEndian.AppendUint64([]byte{byte(state.kind)}, state.round)
	plain = binary.BigEndian.AppendUint64(plain, uint64(state.expires.UnixMilli()))
	plain = append(plain, state.text...)
	out := make([]byte, 1+s.aead.NonceSize(), 1+s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	out[0] = stateFormat
	nonce := out[1:]
	_, _ = rand.Read(nonce) // never fails
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(out, nonce, plain, s.associated(b)))
}

// open reads a state that seal made with the same key and binding and that has
// not expired; ok is false for everything else.
func (s *stateSealer) open(b stateBinding, text string, now time.Time) (state requestState, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	head := 1 + s.aead.NonceSize()
	if err != nil || len(sealed) < head || sealed[0] != stateFormat || base64.RawURLEncoding.EncodeToString(sealed) != text {
		return requestState{}, false
	}
	plain, err := s.aead.Open(nil, sealed[1:head], sealed[head:], s.associated(b))
	if err != nil || len(plain) < stateFixed {
		return requestState{}, false
	}
	state = requestState{kind: stateKind(plain[0]), round: binary.BigEndian.Uint64(plain[1:9]), text: string(plain[stateFixed:]),
		expires: time.UnixMilli(int64(binary.BigEndian.Uint64(plain[9:stateFixed])))}
	return state, now.Before(state.expires)
}

func (s *stateSealer) associated(b stateBinding) []byte {
	return append([]byte{stateFormat}, b[:]...)
}
