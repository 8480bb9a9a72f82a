package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrWrongSecret is a root secret that is not the one the store was made with.
var ErrWrongSecret = errors.New("the root secret is not the one this store was made with")

// RootSecret is the one secret behind the pepper, the encryption key and the
// MAC keys. Version (from 1; 0 reads as 1) makes what is new; what Old versions
// made stays readable.
type RootSecret struct {
	Version int
	Value   Secret
	Old     map[int]Secret
}

const (
	minRootSecret   = 32
	maxRootSecret   = 1024
	minRootDistinct = 10 // different characters; random ones of 32 hex digits have more
	maxRootVersion  = 9999
)

// NewRootSecret draws 32 bytes, written as 43 characters of base64url.
func NewRootSecret(rand io.Reader) (RootSecret, error) {
	var b [32]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return RootSecret{}, fmt.Errorf("drawing a root secret: %w", err)
	}
	return RootSecret{Version: 1, Value: Secret(base64.RawURLEncoding.EncodeToString(b[:]))}, nil
}

// ParseRootSecret reads what BAILIWICK_SECRET or a secret file holds: one
// secret, or several words "<version>:<secret>" separated by white space, of
// which the highest version makes what is new. A secret is 32 to 1024 printable
// ASCII characters without spaces and is used as it stands: nothing is decoded,
// so hexadecimal, base64 and a long passphrase will do alike.
func ParseRootSecret(text string) (RootSecret, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return RootSecret{}, errors.New("the root secret is empty")
	}
	versions := map[int]Secret{}
	for _, w := range words {
		version, value, err := parseVersioned(w)
		if err != nil {
			return RootSecret{}, err
		}
		if _, dup := versions[version]; dup {
			return RootSecret{}, fmt.Errorf("the root secret has version %d twice: write each as <version>:<secret>", version)
		}
		versions[version] = value
	}
	root := RootSecret{Old: versions}
	for v := range versions {
		root.Version = max(root.Version, v)
	}
	root.Value = versions[root.Version]
	delete(versions, root.Version)
	return root, root.check()
}

func parseVersioned(word string) (int, Secret, error) {
	number, value, ok := strings.Cut(word, ":")
	version, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 1, Secret(word), nil
	}
	if version < 1 || version > maxRootVersion {
		return 0, "", fmt.Errorf("the root secret's version must be 1 to %d", maxRootVersion)
	}
	return version, Secret(value), nil
}

// check refuses what could be guessed; its errors never quote the secret.
func (r RootSecret) check() error {
	for _, v := range r.versions() {
		value, _ := r.at(v)
		if err := checkStrength(value); err != nil {
			return fmt.Errorf("root secret, version %d: %w", v, err)
		}
	}
	return nil
}

func checkStrength(value Secret) error {
	s := string(value)
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) < minRootSecret:
		return fmt.Errorf("it has %d characters, at least %d are needed (try: openssl rand -base64 32)", len(s), minRootSecret)
	case len(s) > maxRootSecret:
		return fmt.Errorf("it has more than %d characters", maxRootSecret)
	case strings.ContainsFunc(s, notGraphic):
		return errors.New("it has a character that is not printable ASCII")
	}
	var distinct []rune
	for _, c := range s {
		if !slices.Contains(distinct, c) {
			distinct = append(distinct, c)
		}
	}
	if len(distinct) < minRootDistinct {
		return fmt.Errorf("it has only %d different characters and could be guessed (try: openssl rand -base64 32)", len(distinct))
	}
	return nil
}

func (r RootSecret) current() int { return max(r.Version, 1) }

// versions are all versions, the current one first, then from new to old.
func (r RootSecret) versions() []int {
	out := make([]int, 0, 1+len(r.Old))
	for v := range r.Old {
		if v != r.current() {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return append([]int{r.current()}, out...)
}

func (r RootSecret) at(version int) (Secret, bool) {
	if version == r.current() {
		return r.Value, true
	}
	v, ok := r.Old[version]
	return v, ok
}

// ReadRootSecretFile reads a file that holds what ParseRootSecret takes. A file
// that is not there is fs.ErrNotExist.
func ReadRootSecretFile(path string) (RootSecret, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return RootSecret{}, fmt.Errorf("reading the root secret: %w", err)
	}
	root, err := ParseRootSecret(string(data))
	if err != nil {
		return RootSecret{}, fmt.Errorf("reading the root secret from %s: %w", path, err)
	}
	return root, nil
}

// WriteRootSecretFile makes a new file of mode 0600. Where there is one already
// it changes nothing and answers fs.ErrExist: read that one then, another
// process was first. The file appears whole or not at all.
func WriteRootSecretFile(path string, root RootSecret) error {
	if err := root.check(); err != nil {
		return err
	}
	var text strings.Builder
	for _, v := range root.versions() {
		value, _ := root.at(v)
		fmt.Fprintf(&text, "%d:%s\n", v, value.Reveal())
	}
	if err := writeOnce(path, text.String()); err != nil {
		return fmt.Errorf("writing the root secret: %w", err)
	}
	return nil
}

// writeOnce writes beside the path and links it there: a link is atomic and
// fails where the name is taken.
func writeOnce(path, text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		if _, statErr := os.Lstat(path); statErr == nil {
			return fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
