package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// The errors of opening a store.
var (
	// ErrNoStore is a data folder without a database.
	ErrNoStore = errors.New("there is no store")
	// ErrUnused is a store that has no root secret yet, and may get none now.
	ErrUnused = errors.New("nobody has served this store yet, so it has no root secret and no tenant")
	// ErrSecretMissing is a store that has a root secret, which was not found.
	ErrSecretMissing = errors.New("the root secret of this store is missing")

	errTwoSecrets = errors.New("a root secret is given both as text and as a file: keep one of them")
)

// OpenSecretError is a root secret in the data folder that everybody on the
// machine may read or replace.
type OpenSecretError struct {
	Path string
	Mode fs.FileMode // permission bits
}

func (e *OpenSecretError) Error() string {
	return fmt.Sprintf("reading the root secret: others may read or write %s (mode %04o)", e.Path, e.Mode)
}

func (c Config) secretPath() string { return filepath.Join(c.Data, SecretFile) }

// SecretGiven tells whether there is a root secret to be read.
func (c Config) SecretGiven() bool {
	if c.Secret != "" || c.RootSecretFile != "" {
		return true
	}
	_, err := os.Stat(c.secretPath())
	return !errors.Is(err, fs.ErrNotExist)
}

// RootSecret reads the root secret of a store that is open already. Errors: as Open.
func (c Config) RootSecret(ctx context.Context, s keys.Store) (keys.RootSecret, error) {
	c.Fresh = false
	root, _, err := c.rootSecret(ctx, s)
	return root, err
}

// rootSecret reads the root secret, or makes it (and made is true) where the store
// is new and that is allowed.
func (c Config) rootSecret(ctx context.Context, s keys.Store) (root keys.RootSecret, made bool, err error) {
	switch {
	case c.Secret != "" && c.RootSecretFile != "":
		return root, false, errTwoSecrets
	case c.Secret != "":
		root, err = keys.ParseRootSecret(c.Secret.Reveal())
		return root, false, err
	case c.RootSecretFile != "":
		// Its mode is not ours: container platforms mount secrets as 0444 or 0644.
		root, err = keys.ReadRootSecretFile(c.RootSecretFile)
		return root, false, err
	}
	path := c.secretPath()
	root, err = readSecretFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, false, err
	}
	epoch, err := s.Epoch(ctx)
	if err != nil {
		return root, false, err
	}
	if epoch == 0 && !c.Fresh {
		// Opening with a secret notes its fingerprint, which is the first edit.
		return root, false, ErrUnused
	}
	if epoch > 0 {
		return root, false, fmt.Errorf("%w: %s is not there", ErrSecretMissing, path)
	}
	return makeRootSecret(path)
}

// readSecretFile refuses a secret that everybody on the machine may read or
// replace. A group may: systems that hand out secrets need one.
func readSecretFile(path string) (keys.RootSecret, error) {
	if mode, ok := OpenToOthers(path, 0o007); ok {
		return keys.RootSecret{}, &OpenSecretError{path, mode}
	}
	return keys.ReadRootSecretFile(path)
}

// OpenToOthers tells whether a file or folder has one of the permission bits, and
// all that it has. What can't be looked at fails when it is used; Windows has no
// such bits.
func OpenToOthers(path string, bits fs.FileMode) (fs.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || !info.Mode().IsRegular() && !info.IsDir() {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&bits != 0
}

func makeRootSecret(path string) (root keys.RootSecret, made bool, err error) {
	root, err = keys.NewRootSecret(rand.Reader)
	if err != nil {
		return root, false, err
	}
	switch err = keys.WriteRootSecretFile(path, root); {
	case errors.Is(err, fs.ErrExist):
		root, err = readSecretFile(path)
		return root, false, err
	case err != nil:
		return root, false, err
	}
	return root, true, nil
}
