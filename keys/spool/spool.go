package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Config of a Spool. All fields are required.
type Config struct {
	Folder string // made at the first entry
	// Store is a short name, of a-z, of the kind of store that the entries are for.
	// Files of another kind are left alone.
	Store string
	Limit int64 // bytes of all files of this process, adopted ones included
}

// Spool keeps audit entries on disk, oldest first. It may be used by several
// goroutines. Close gives its files up.
type Spool struct {
	cfg Config

	mu      sync.Mutex
	old     []*file // of dead processes, oldest first
	own     *file   // nil = none was needed yet
	read    *file   // what Oldest has read of it:
	upTo    int64
	count   int
	passed  int64 // damaged lines on the way
	harmed  bool  // one of them has an end
	damaged int64
	closed  bool
}

// fileParts is into how many files a full spool is divided.
const fileParts = 16

var errClosed = errors.New("the audit spool is closed")

var _ keys.Spool = (*Spool)(nil)

// Open adopts what processes that are dead have left in the folder, if it is
// there. foreign are the paths of files that it left alone: of another kind of
// store, or with damage in them.
func Open(cfg Config) (s *Spool, foreign []string, err error) {
	s = &Spool{cfg: cfg}
	listed, err := os.ReadDir(cfg.Folder) // by name, which begins with the time
	if err != nil {
		return s, nil, ignoreMissing(err)
	}
	for _, entry := range listed {
		path := filepath.Join(cfg.Folder, entry.Name())
		switch {
		case strings.HasSuffix(path, suffix+damagedSuffix):
			foreign = append(foreign, path)
			continue
		case !strings.HasSuffix(path, suffix) || !entry.Type().IsRegular():
			continue
		case !strings.HasPrefix(entry.Name(), cfg.Store+"-"):
			foreign = append(foreign, path)
			continue
		}
		f, err := adoptFile(path)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("adopting %s: %w", path, err), s.Close())
		}
		switch {
		case f == nil:
		case f.empty():
			err = f.end()
		default:
			s.old = append(s.old, f)
		}
		if err != nil {
			return nil, nil, errors.Join(err, s.Close())
		}
	}
	return s, foreign, nil
}

// Append keeps as many entries as there is room for; see keys.Spool.
func (s *Spool) Append(entries []keys.AuditEntry) (kept int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	room := s.cfg.Limit - s.bytes()
	var lines []byte
	for i := range entries {
		longer, err := appendLine(lines, &entries[i])
		if err != nil {
			return 0, err
		}
		if int64(len(longer)) > room {
			break
		}
		lines, kept = longer, i+1
	}
	if kept > 0 {
		if err := s.write(lines, kept); err != nil {
			return 0, fmt.Errorf("spooling audit entries: %w", err)
		}
	}
	if kept < len(entries) {
		return kept, fmt.Errorf("%w: %d MiB", keys.ErrSpoolFull, s.cfg.Limit>>20)
	}
	return kept, nil
}

func (s *Spool) write(lines []byte, entries int) error {
	if s.own == nil {
		f, err := createFile(s.cfg.Folder, s.cfg.Store)
		if err != nil {
			return err
		}
		s.own = f
	}
	spoilt, err := s.own.append(lines)
	if err == nil {
		s.own.entries += entries
	}
	// What a file had is then read like a dead process's, and the next batch gets a
	// new one. Disk is given back by whole files, so a full one is a part of the limit.
	if spoilt || s.own.size >= s.cfg.Limit/fileParts {
		s.old, s.own = append(s.old, s.own), nil
	}
	return err
}

// Oldest reads up to limit entries, the oldest first; see keys.Spool.
func (s *Spool) Oldest(limit int) ([]keys.AuditEntry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		f := s.first()
		if f == nil {
			return nil, nil
		}
		var batch []keys.AuditEntry
		s.read, s.upTo, s.passed, s.harmed = f, f.head, 0, false
		err := f.scan(func(next int64, raw []byte) bool {
			s.upTo = next
			if e, ok := readLine(raw); ok {
				batch = append(batch, e)
			} else {
				s.passed++
				s.harmed = s.harmed || bytes.HasSuffix(raw, lineEnd)
			}
			return len(batch) < limit
		})
		s.count = len(batch)
		if err == nil && len(batch) < limit && s.upTo < f.size { // somebody has shortened it
			s.passed, s.upTo = s.passed+1, f.size
		}
		if err != nil || len(batch) > 0 {
			return batch, err
		}
		if err := s.drop(); err != nil { // of damaged lines alone
			return nil, err
		}
	}
}

func (s *Spool) first() *file {
	for _, f := range s.all() {
		if !f.empty() {
			return f
		}
	}
	return nil
}

func (s *Spool) all() []*file {
	if s.own == nil {
		return s.old
	}
	return append(slices.Clip(s.old), s.own)
}

// Drop forgets what Oldest has answered last; see keys.Spool.
func (s *Spool) Drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop()
}

func (s *Spool) drop() error {
	f := s.read
	if f == nil {
		return nil
	}
	s.read = nil
	if f.head, f.entries = s.upTo, f.entries-s.count; f.empty() {
		f.entries = 0
	}
	f.damaged = f.damaged || s.harmed
	s.damaged += s.passed
	switch {
	case !f.empty():
		return nil
	case f != s.own:
		s.old = slices.DeleteFunc(s.old, func(o *file) bool { return o == f })
		return f.end()
	case f.damaged:
		s.own = nil
		return f.end()
	}
	return f.clear()
}

// State is how much is kept.
func (s *Spool) State() keys.SpoolState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := keys.SpoolState{Bytes: s.bytes(), Limit: s.cfg.Limit, Damaged: s.damaged}
	for _, f := range s.all() {
		state.Entries += f.entries
	}
	return state
}

func (s *Spool) bytes() (n int64) {
	for _, f := range s.all() {
		n += f.size
	}
	return n
}

// Close gives the files up: what is in them is for the next process.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.all() {
		errs = append(errs, f.end())
	}
	s.old, s.own, s.read, s.closed = nil, nil, nil, true
	return errors.Join(errs...)
}
