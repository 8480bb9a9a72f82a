package keys

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ImportedKey asks for a key whose token another system has given out. The
// token itself is never needed: its SHA-256 is what such systems keep.
type ImportedKey struct {
	NewKey          // without an Idempotency
	Digest [32]byte // SHA-256 of the token
	Prefix string   // shown in place of a token's start; 0 to 24 visible ASCII characters
}

// ImportResult is what became of the entry at Index.
type ImportResult struct {
	Index int
	Key   Key
	Err   error // ErrNotImported for one that has no fault of its own
}

// ErrNotImported is an entry that is in order, but stands beside faulty ones.
var ErrNotImported = errors.New("not imported, because other entries are faulty")

// ImportError is an import of which nothing was written, for the faults of some
// of its entries: *InvalidError, *ConflictError, *PermissionError.
type ImportError struct{ Results []ImportResult }

func (e *ImportError) Error() string {
	return fmt.Sprintf("%d of %d keys can't be imported; none was", e.faulty(), len(e.Results))
}

func (e *ImportError) faulty() (n int) {
	for i := range e.Results {
		if !errors.Is(e.Results[i].Err, ErrNotImported) {
			n++
		}
	}
	return n
}

// MaxImport is how many keys one import can have.
const MaxImport = 10_000

const (
	maxShownPrefix = 24
	importsMeta    = "keys.imported" // there once a key was imported, in any tenant
)

// ParseDigest reads a SHA-256 as other systems write it: 64 hexadecimal digits,
// or base64 of 32 bytes in either alphabet (RFC 4648, sections 4 and 5), with
// or without padding. Anything else is an *InvalidError of the field "hash".
func ParseDigest(text string) (digest [32]byte, err error) {
	var raw []byte
	switch len(text) {
	case hex.EncodedLen(len(digest)):
		raw, err = hex.DecodeString(text)
	case base64.RawStdEncoding.EncodedLen(len(digest)), base64.StdEncoding.EncodedLen(len(digest)):
		alphabet := base64.RawStdEncoding
		if strings.ContainsAny(text, "-_") {
			alphabet = base64.RawURLEncoding
		}
		// The decoder skips line ends, which are no part of a digest.
		if raw, err = alphabet.Strict().DecodeString(strings.TrimSuffix(text, "=")); strings.ContainsAny(text, "\r\n") {
			err = errors.New("a line end")
		}
	}
	if err != nil || len(raw) != len(digest) {
		return [32]byte{}, &InvalidError{Fields: []policy.Problem{{
			Field: "hash", Problem: "must be a SHA-256: 64 hexadecimal digits, or base64 of 32 bytes"}}}
	}
	copy(digest[:], raw)
	return digest, nil
}

// ImportKeys makes keys of tokens that other systems have given out: 1 to
// 10,000, all in one edit, or none and an *ImportError with each faulty entry's
// own error. Each must be within the principal's rights, as for CreateKey. It
// needs manage:api-keys.
func (s *Service) ImportKeys(ctx context.Context, p Principal, list []ImportedKey) ([]ImportResult, error) {
	op := operation{"key.import", manageKeys}
	if n := len(list); n == 0 || n > MaxImport {
		if err := s.allow(p, op.needs); err != nil {
			return nil, s.refuse(ctx, p, op, err)
		}
		return nil, &InvalidError{Fields: []policy.Problem{{Field: "keys", Problem: fmt.Sprintf("must have 1 to %d entries", MaxImport)}}}
	}
	var results []ImportResult
	err := s.edit(ctx, p, op, func(e *edit) (err error) {
		results, err = e.importKeys(ctx, list)
		return err
	})
	if err != nil {
		return nil, s.refuseEntry(ctx, p, op, err)
	}
	s.imports.Store(true)
	return results, nil
}

// learnImports looks whether keys were imported, until some were.
func (s *Service) learnImports(ctx context.Context) error {
	if s.imports.Load() {
		return nil
	}
	return s.cfg.Store.Read(ctx, func(r Reader) error {
		switch _, err := r.Meta(ctx, importsMeta); {
		case err == nil:
			s.imports.Store(true)
		case !isNotFound(err):
			return err
		}
		return nil
	})
}

// refuseEntry puts the first denial among the entries into the audit trail.
func (s *Service) refuseEntry(ctx context.Context, p Principal, op operation, err error) error {
	var faulty *ImportError
	if !errors.As(err, &faulty) {
		return err
	}
	for _, r := range faulty.Results {
		var denied *PermissionError
		if !errors.As(r.Err, &denied) {
			continue
		}
		if recorded := s.refuse(ctx, p, op, r.Err); recorded != r.Err {
			return errors.Join(err, recorded)
		}
		break
	}
	return err
}

func (e *edit) importKeys(ctx context.Context, list []ImportedKey) ([]ImportResult, error) {
	b, err := e.newBatch(ctx, list)
	if err != nil {
		return nil, err
	}
	results := make([]ImportResult, len(list))
	faulty := false
	for i := range list {
		results[i].Index = i
		err := b.add(ctx, &list[i])
		if err != nil && !ofEntry(err) {
			return nil, err
		}
		results[i].Err, faulty = err, faulty || err != nil
	}
	if faulty {
		for i := range results {
			if results[i].Err == nil {
				results[i].Err = ErrNotImported
			}
		}
		return nil, &ImportError{Results: results}
	}
	if err := b.write(ctx); err != nil {
		return nil, err
	}
	for i := range results {
		results[i].Key = b.made[i]
	}
	return results, nil
}

// ofEntry tells a fault of one entry from what ends the whole import.
func ofEntry(err error) bool {
	var invalid *InvalidError
	var conflict *ConflictError
	var denied *PermissionError
	return errors.As(err, &invalid) || errors.As(err, &conflict) || errors.As(err, &denied)
}

// check checks what only an imported key has.
func (in *ImportedKey) check(f *faults) {
	if in.Digest == [32]byte{} || in.Digest == sha256.Sum256(nil) {
		f.add("hash", "must be the SHA-256 of a token")
	}
	switch {
	case len(in.Prefix) > maxShownPrefix || strings.ContainsFunc(in.Prefix, notGraphic):
		f.add("prefix", "must be 0 to %d visible ASCII characters", maxShownPrefix)
	case in.showsToken():
		f.add("prefix", "has the whole token in it: give only its start, and replace the token if others may have seen it")
	}
}

// showsToken tells whether any part of the prefix is the token.
func (in *ImportedKey) showsToken() bool {
	for from := range in.Prefix {
		for to := len(in.Prefix); to > from; to-- {
			if sha256.Sum256([]byte(in.Prefix[from:to])) == in.Digest {
				return true
			}
		}
	}
	return false
}
