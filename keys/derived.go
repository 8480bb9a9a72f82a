package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// derived holds what HKDF-SHA-256 (RFC 5869) makes of the root secret.
type derived struct {
	root    RootSecret
	current int
	byAge   []versionKeys // the current version first
}

type versionKeys struct {
	version     int
	fingerprint string
	seal        cipher.AEAD
	peppered    *sync.Pool // of *peppered: making one costs more than using it
}

// peppered is an HMAC under a version's pepper, with what goes in and comes out.
type peppered struct {
	mac     hash.Hash
	in, out [32]byte
}

const fingerprintMeta = "root.fingerprints" // JSON: version -> fingerprint

func derive(root RootSecret) (*derived, error) {
	if err := root.check(); err != nil {
		return nil, err
	}
	d := &derived{root: root, current: root.current()}
	for _, v := range root.versions() {
		value, _ := root.at(v)
		block, err := aes.NewCipher(expand(value, "encryption"))
		if err != nil {
			return nil, err
		}
		seal, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		pepper := expand(value, "pepper")
		d.byAge = append(d.byAge, versionKeys{
			version: v, seal: seal,
			fingerprint: hex.EncodeToString(expand(value, "fingerprint")[:16]),
			peppered:    &sync.Pool{New: func() any { return &peppered{mac: hmac.New(sha256.New, pepper)} }},
		})
	}
	return d, nil
}

// expand never fails: 32 bytes are far below HKDF's limit.
func expand(secret Secret, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "bailiwick v1 "+purpose, 32)
	if err != nil {
		panic(err)
	}
	return key
}

// hash is what the store knows a token by, under one version's pepper.
func (v *versionKeys) hash(digest [32]byte) [32]byte {
	p := v.peppered.Get().(*peppered)
	defer v.peppered.Put(p)
	p.in = digest
	p.mac.Reset()
	_, _ = p.mac.Write(p.in[:])
	p.mac.Sum(p.out[:0])
	return p.out
}

// secretHash is the hash for a new secret, with the version that made it.
func (d *derived) secretHash(token Secret) ([32]byte, int) {
	return d.byAge[0].hash(digest(token)), d.current
}

// MACKey is 32 bytes, a different one for each purpose.
func (s *Service) MACKey(purpose string) []byte {
	return expand(s.derived.root.Value, "mac "+purpose)
}

// checkFingerprint compares the root secret with the one the store was made
// with, and notes it in an empty store; a new version is noted beside the old.
func (s *Service) checkFingerprint(ctx context.Context) error {
	var known bool
	err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
		known, err = s.derived.known(ctx, r)
		return err
	})
	if err != nil || known {
		return err
	}
	_, err = s.cfg.Store.Edit(ctx, func(w Writer) error {
		known, err := s.derived.known(ctx, w) // another process may have been first
		if err != nil || known {
			return err
		}
		return s.derived.note(ctx, w)
	})
	return err
}

// CheckSecret compares a root secret with the one that the store was made with,
// and changes nothing: another one is ErrWrongSecret.
func CheckSecret(ctx context.Context, store Store, root RootSecret) error {
	derived, err := derive(root)
	if err != nil {
		return err
	}
	return store.Read(ctx, func(r Reader) error {
		_, err := derived.known(ctx, r)
		return err
	})
}

// known tells whether the store has the current version's fingerprint; false
// without an error means that it may be noted.
func (d *derived) known(ctx context.Context, r Reader) (bool, error) {
	stored, err := storedFingerprints(ctx, r)
	if err != nil {
		return false, err
	}
	if len(stored) == 0 {
		tenants, err := r.Tenants(ctx)
		if err == nil && len(tenants) > 0 {
			err = fmt.Errorf("%w: the store is in use but has no fingerprint of it", ErrWrongSecret)
		}
		return false, err
	}
	matches := 0
	for _, v := range d.byAge {
		was, ok := stored[v.version]
		if ok && was != v.fingerprint {
			return false, fmt.Errorf("%w (version %d differs)", ErrWrongSecret, v.version)
		}
		if ok {
			matches++
		}
	}
	for version := range stored {
		if version > d.current {
			return false, fmt.Errorf("%w: the store has seen version %d, this is %d", ErrWrongSecret, version, d.current)
		}
	}
	if matches == 0 {
		return false, fmt.Errorf("%w: keep the old one beside the new, as <version>:<secret>", ErrWrongSecret)
	}
	return stored[d.current] != "", nil
}

func (d *derived) note(ctx context.Context, w Writer) error {
	stored, err := storedFingerprints(ctx, w)
	if err != nil {
		return err
	}
	stored[d.current] = d.byAge[0].fingerprint
	text, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return w.PutMeta(ctx, fingerprintMeta, string(text))
}

func storedFingerprints(ctx context.Context, r Reader) (map[int]string, error) {
	stored := map[int]string{}
	text, err := r.Meta(ctx, fingerprintMeta)
	if errors.Is(err, ErrNotFound) {
		return stored, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &stored)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the root secret's fingerprint: %w", err)
	}
	return stored, nil
}
