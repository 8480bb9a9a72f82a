//go:build unix

package spool_test

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// withFilesUpTo runs fn while the system lets no file of this process become
// longer: a write takes what there is room for and then fails, as on a full disk.
func withFilesUpTo(t *testing.T, size int64, fn func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	now := was
	now.Cur = uint64(size)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	fn()
}

// A disk that is full in the middle of a batch keeps none of it and all that was
// there before, and takes the batch when there is room.
func TestDiskFullInTheMiddle(t *testing.T) {
	folder := t.TempDir()
	s, _ := open(t, folder, plenty)
	add(t, s, entries(0, 3))
	path := filepath.Join(folder, names(t, folder)[0])
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(before))
	same := func(when string) {
		t.Helper()
		if got := s.State(); got.Entries != 3 || got.Bytes != size || got.Damaged != 0 {
			t.Errorf("%s: %+v, want 3 entries in %d bytes", when, got, size)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != string(before) {
			t.Errorf("%s: %d bytes on disk, want the %d from before: %v", when, len(now), size, err)
		}
	}
	for _, room := range []int64{1, size / 2, size} { // within a line, between two, and all but some
		withFilesUpTo(t, size+room, func() {
			kept, err := s.Append(entries(3, 7))
			if kept != 0 || !errors.Is(err, syscall.EFBIG) || errors.Is(err, keys.ErrSpoolFull) {
				t.Errorf("%d kept, %v", kept, err)
			}
			same("full")
			if batch, err := s.Oldest(10); err != nil || len(batch) != 3 {
				t.Errorf("%d entries to read, %v", len(batch), err)
			}
		})
	}
	same("room again")
	add(t, s, entries(3, 7))
	closed(t, s)
	s, _ = open(t, folder, plenty)
	equal(t, drained(t, s, 10), entries(0, 7))
	if got := s.State(); got.Damaged != 0 {
		t.Errorf("%d lines damaged", got.Damaged)
	}
}
