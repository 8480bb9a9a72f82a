package spool

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/filelock"
)

const (
	suffix        = ".spool"
	damagedSuffix = ".damaged"
	createTries   = 8
)

// file is one process's entries. This process holds its lock.
type file struct {
	f       *os.File
	size    int64 // what is on disk for sure
	head    int64 // what is before it has been written to the store
	entries int   // after head
	damaged bool  // a line with an end was no entry
}

// createFile makes a file that is locked by this process and has a name in the
// folder: between its making and its locking, another process may have taken it
// for a dead one's.
func createFile(folder, store string) (*file, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	for range createTries {
		var b [4]byte
		_, _ = rand.Read(b[:]) // never fails
		name := fmt.Sprintf("%s-%019d-%s%s", store, time.Now().UnixNano(), hex.EncodeToString(b[:]), suffix)
		f, err := os.OpenFile(filepath.Join(folder, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		if ours, err := lock(f); err != nil || !ours {
			_ = f.Close()
			if err != nil {
				return nil, err
			}
			continue
		}
		return &file{f: f}, syncFolder(folder)
	}
	return nil, errors.New("no file of its own could be made")
}

// adoptFile answers nil where the file's process lives, or another one was faster.
func adoptFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ours, err := lock(f)
	if err != nil || !ours {
		_ = f.Close()
		return nil, err
	}
	adopted := &file{f: f}
	if err := adopted.count(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return adopted, nil
}

// lock locks the file, unless another process has, or its name is gone by now.
func lock(f *os.File) (bool, error) {
	got, err := filelock.Try(f)
	if err != nil || !got {
		return false, err
	}
	held, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(f.Name())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(held, named), err
}

// count reads the size and how many entries there are.
func (f *file) count() error {
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	return f.scan(func(_ int64, raw []byte) bool {
		if _, ok := checkLine(raw); ok {
			f.entries++
		}
		return true
	})
}

// scan reads the lines, their ends included, from head on until fn answers false;
// next is where the following line begins.
func (f *file) scan(fn func(next int64, raw []byte) bool) error {
	lines := bufio.NewReaderSize(io.NewSectionReader(f.f, f.head, f.size-f.head), 64<<10)
	for next := f.head; ; {
		raw, err := lines.ReadBytes('\n')
		if len(raw) > 0 {
			next += int64(len(raw))
			if !fn(next, raw) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", f.f.Name(), err)
		}
	}
}

// append adds lines, or none of them: then spoilt says that the file can't be
// added to any more, what it had before can be read.
func (f *file) append(lines []byte) (spoilt bool, err error) {
	_, err = f.f.WriteAt(lines, f.size)
	if err == nil {
		err = f.f.Sync()
	}
	if err != nil {
		return f.f.Truncate(f.size) != nil, err
	}
	f.size += int64(len(lines))
	return false, nil
}

func (f *file) empty() bool { return f.head >= f.size }

// clear forgets everything; the file stays locked.
func (f *file) clear() error {
	f.head, f.size, f.entries = 0, 0, 0
	return f.f.Truncate(0)
}

// end gives the file up: one that is wholly written goes, unless there is damage
// in it to look at.
func (f *file) end() error {
	path := f.f.Name()
	switch {
	case !f.empty():
		return f.f.Close()
	case f.damaged:
		return errors.Join(f.f.Close(), os.Rename(path, path+damagedSuffix))
	}
	// Emptied first: between the closing and the removal it may be adopted.
	return errors.Join(f.f.Truncate(0), f.f.Close(), ignoreMissing(os.Remove(path)))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
