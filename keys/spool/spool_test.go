package spool_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/spool"
)

const plenty = 1 << 20

func entry(n int) keys.AuditEntry {
	return keys.AuditEntry{
		ID: fmt.Sprintf("id-%04d", n), TenantID: "t", Time: time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC), Kind: "call",
		Action: "tools/call", Actor: "a\nb", KeyID: "k", KeyVersion: 7, Subject: "s/x", Tool: "it's ? a \"tool\" ä",
		Decision: "deny", Failed: []string{"readonly"}, Ref: "r", ArgsDigest: "d", Outcome: "ok",
		Latency: 1234567, Client: "c/1", Epoch: 5, Detail: json.RawMessage(`{"a": no JSON`),
	}
}

func entries(from, to int) (list []keys.AuditEntry) {
	for n := from; n < to; n++ {
		list = append(list, entry(n))
	}
	return list
}

func open(t testing.TB, folder string, limit int64) (*spool.Spool, []string) {
	t.Helper()
	s, foreign, err := spool.Open(spool.Config{Folder: folder, Store: "sqlite", Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s) })
	return s, foreign
}

func closed(t testing.TB, s *spool.Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func add(t testing.TB, s *spool.Spool, list []keys.AuditEntry) {
	t.Helper()
	if kept, err := s.Append(list); kept != len(list) || err != nil {
		t.Fatalf("%d of %d kept: %v", kept, len(list), err)
	}
}

// drained are all entries, some at a time.
func drained(t testing.TB, s *spool.Spool, atOnce int) (all []keys.AuditEntry) {
	t.Helper()
	for {
		batch, err := s.Oldest(atOnce)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			return all
		}
		if len(batch) > atOnce {
			t.Fatalf("%d entries at once, want %d", len(batch), atOnce)
		}
		again, err := s.Oldest(atOnce)
		if err != nil || !cmp.Equal(batch, again) {
			t.Fatalf("not the same before it is dropped: %v %s", err, cmp.Diff(batch, again))
		}
		if err := s.Drop(); err != nil {
			t.Fatal(err)
		}
		all = append(all, batch...)
	}
}

func equal(t testing.TB, got, want []keys.AuditEntry) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (- want, + got): %s", diff)
	}
}

func names(t testing.TB, folder string) (list []string) {
	t.Helper()
	found, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		list = append(list, f.Name())
	}
	return list
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "audit-spool")
	s, _ := open(t, folder, plenty)
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder before there was an entry: %v", err)
	}
	add(t, s, entries(0, 3))
	add(t, s, entries(3, 10))
	if state := s.State(); state.Entries != 10 || state.Bytes == 0 || state.Limit != plenty {
		t.Errorf("state %+v", state)
	}
	if list := names(t, folder); len(list) != 1 {
		t.Errorf("files %v", list)
	} else if runtime.GOOS != "windows" {
		at, _ := os.Stat(folder)
		file, _ := os.Stat(filepath.Join(folder, list[0]))
		if at.Mode().Perm() != 0o700 || file.Mode().Perm() != 0o600 {
			t.Errorf("modes %v, %v", at.Mode(), file.Mode())
		}
	}
	equal(t, drained(t, s, 4), entries(0, 10))
	if state := s.State(); state != (keys.SpoolState{Limit: plenty}) {
		t.Errorf("state %+v", state)
	}
	add(t, s, entries(10, 12))
	equal(t, drained(t, s, 4), entries(10, 12))
	closed(t, s)
	if list := names(t, folder); len(list) != 0 {
		t.Errorf("files %v", list)
	}
}

// What a process leaves goes to the next one, oldest first, and before its own;
// the files of processes that live do not.
func TestFilesOfDeadProcessesAreAdopted(t *testing.T) {
	folder := t.TempDir()
	first, _ := open(t, folder, plenty)
	add(t, first, entries(0, 5))
	living, _ := open(t, folder, plenty)
	add(t, living, entries(100, 101))
	if got := living.State().Entries; got != 1 {
		t.Errorf("the file of one that lives was adopted: %d entries", got)
	}
	if _, err := first.Oldest(2); err != nil {
		t.Fatal(err)
	}
	if err := first.Drop(); err != nil {
		t.Fatal(err)
	}
	closed(t, first)
	second, _ := open(t, folder, plenty)
	add(t, second, entries(5, 8))
	closed(t, second)
	third, _ := open(t, folder, plenty)
	if got := third.State().Entries; got != 8 {
		t.Errorf("%d entries adopted, want 8", got)
	}
	add(t, third, entries(8, 9))
	fourth, _ := open(t, folder, plenty)
	if got := fourth.State(); got.Entries != 0 {
		t.Errorf("adopted twice: %+v", got)
	}
	equal(t, drained(t, third, 3), entries(0, 9)) // what the first one dropped comes again
	closed(t, third)
	equal(t, drained(t, living, 3), entries(100, 101))
	closed(t, living)
	if list := names(t, folder); len(list) != 0 {
		t.Errorf("files %v", list)
	}
}

func TestFilesOfAnotherStoreAreLeftAlone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "postgres-1-a.spool")
	if err := os.WriteFile(path, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, foreign := open(t, folder, plenty)
	if got := s.State(); got.Entries != 0 || got.Bytes != 0 {
		t.Errorf("state %+v", got)
	}
	if diff := cmp.Diff([]string{path}, foreign); diff != "" {
		t.Error(diff)
	}
}

func TestLimit(t *testing.T) {
	folder := t.TempDir()
	measure, _ := open(t, t.TempDir(), plenty)
	add(t, measure, entries(0, 1))
	one := measure.State().Bytes
	s, _ := open(t, folder, 5*one+one/2)
	add(t, s, entries(0, 2))
	kept, err := s.Append(entries(2, 9))
	if kept != 3 || !errors.Is(err, keys.ErrSpoolFull) {
		t.Errorf("%d kept, %v", kept, err)
	}
	if kept, err = s.Append(entries(5, 6)); kept != 0 || !errors.Is(err, keys.ErrSpoolFull) {
		t.Errorf("%d kept, %v", kept, err)
	}
	closed(t, s)
	s, _ = open(t, folder, 5*one+one/2) // what is adopted counts
	if kept, err = s.Append(entries(5, 6)); kept != 0 || !errors.Is(err, keys.ErrSpoolFull) {
		t.Errorf("%d kept, %v", kept, err)
	}
	equal(t, drained(t, s, 10), entries(0, 5))
	add(t, s, entries(5, 10))
	equal(t, drained(t, s, 10), entries(5, 10))
}

// A file that can't be written keeps what it has, and takes more when it can.
// TestRoomComesBackBeforeAllIsWritten fills a spool whose store takes the entries
// slower than they come: what was written makes room, and not only the last of it.
func TestRoomComesBackBeforeAllIsWritten(t *testing.T) {
	const limit = 64 << 10
	s, _ := open(t, t.TempDir(), limit)
	n := 0
	for err := error(nil); err == nil; n += 10 {
		_, err = s.Append(entries(n, n+10))
	}
	full := s.State()
	for s.State().Entries > full.Entries/2 {
		if _, err := s.Oldest(10); err != nil {
			t.Fatal(err)
		}
		if err := s.Drop(); err != nil {
			t.Fatal(err)
		}
	}
	half := s.State()
	if half.Bytes > full.Bytes*5/8 {
		t.Errorf("with half of %d entries written, %d of %d bytes are taken", full.Entries, half.Bytes, full.Bytes)
	}
	add(t, s, entries(n, n+10))
	if got := drained(t, s, 100); len(got) != half.Entries+10 {
		t.Errorf("%d entries are left of %d", len(got), half.Entries+10)
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "audit-spool")
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // in the way
		t.Fatal(err)
	}
	if _, _, err := spool.Open(spool.Config{Folder: folder, Store: "sqlite", Limit: plenty}); err == nil {
		t.Error("a file was opened as a folder")
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, folder, plenty)
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if kept, err := s.Append(entries(0, 1)); kept != 0 || err == nil || errors.Is(err, keys.ErrSpoolFull) {
		t.Errorf("%d kept, %v", kept, err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	add(t, s, entries(0, 1))
	equal(t, drained(t, s, 1), entries(0, 1))
}

// written is the content of a file with n entries.
func written(t testing.TB, n int) []byte {
	t.Helper()
	folder := t.TempDir()
	s, _ := open(t, folder, plenty)
	add(t, s, entries(0, n))
	content, err := os.ReadFile(filepath.Join(folder, names(t, folder)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// left opens a folder with one file of the content, drains it and tells what
// came of it.
func left(t testing.TB, folder string, content []byte) (got []keys.AuditEntry, damaged int64, files []string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "sqlite-1-a.spool"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := spool.Open(spool.Config{Folder: folder, Store: "sqlite", Limit: plenty})
	if err != nil {
		t.Fatal(err)
	}
	said := s.State().Entries
	got = drained(t, s, 3)
	if said != len(got) {
		t.Fatalf("it said %d entries, and has %d", said, len(got))
	}
	state := s.State()
	if state.Entries != 0 || state.Bytes != 0 {
		t.Fatalf("drained, and %+v", state)
	}
	files = names(t, folder)
	for _, name := range files {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return got, state.Damaged, files
}

// A crash can cut the file at any byte: what is before the cut is there.
func TestFileCutAnywhere(t *testing.T) {
	const n = 3
	content, folder := written(t, n), t.TempDir()
	for at := range len(content) + 1 {
		whole := bytes.Count(content[:at], []byte("\n"))
		torn := int64(0)
		if at > 0 && content[at-1] != '\n' {
			torn = 1
		}
		got, damaged, files := left(t, folder, content[:at])
		equal(t, got, append([]keys.AuditEntry(nil), entries(0, whole)...))
		if damaged != torn || len(files) != 0 {
			t.Errorf("cut at %d: %d lines damaged, want %d; files left: %v", at, damaged, torn, files)
		}
		if t.Failed() {
			return
		}
	}
}

// A damaged byte costs its own line (or two, where it was the end of one), and is told.
func TestDamagedByte(t *testing.T) {
	const n = 3
	content, folder := written(t, n), t.TempDir()
	for at := range content {
		for _, flip := range []byte{0x01, content[at] ^ '\n'} {
			if flip == 0 {
				continue
			}
			harmed := bytes.Clone(content)
			harmed[at] ^= flip
			got, damaged, files := left(t, folder, harmed)
			line := bytes.Count(content[:at], []byte("\n"))
			kept := map[string]bool{}
			for _, e := range got {
				kept[e.ID] = true
				equal(t, []keys.AuditEntry{e}, []keys.AuditEntry{entry(int(e.ID[len(e.ID)-1] - '0'))})
			}
			for i := range n {
				hit := i == line || i == line+1 && content[at] == '\n'
				if !hit && !kept[entry(i).ID] {
					t.Errorf("byte %d of line %d cost line %d", at, line, i)
				}
			}
			// The digits of a checksum may be of either case.
			if len(got) < n && damaged == 0 {
				t.Errorf("byte %d ^ %x: %d entries of %d, no damage told", at, flip, len(got), n)
			}
			inside := at < len(content)-1 // else the last line has no end, as after a crash
			if kept := len(files) == 1 && strings.HasSuffix(files[0], ".spool.damaged"); damaged > 0 && inside && !kept {
				t.Errorf("byte %d ^ %x: the damaged file was not kept: %v", at, flip, files)
			}
			if t.Failed() {
				return
			}
		}
	}
}

// A damaged file is kept for people to look at, and told of at each start.
func TestDamagedFileIsKept(t *testing.T) {
	folder := t.TempDir()
	content := append([]byte("damage\n"), written(t, 2)...)
	if err := os.WriteFile(filepath.Join(folder, "sqlite-1-a.spool"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, folder, plenty)
	equal(t, drained(t, s, 10), entries(0, 2))
	closed(t, s)
	again, foreign := open(t, folder, plenty)
	if got := again.State(); got.Entries != 0 || len(foreign) != 1 {
		t.Errorf("%+v, told of %v", got, foreign)
	}
	if kept, err := os.ReadFile(foreign[0]); err != nil || !bytes.Equal(kept, content) {
		t.Errorf("not as it was: %v", err)
	}
}

// A file that was shortened beside the process is damage, and holds nothing up.
func TestShortenedFile(t *testing.T) {
	folder := t.TempDir()
	s, _ := open(t, folder, plenty)
	add(t, s, entries(0, 2))
	if err := os.Truncate(filepath.Join(folder, names(t, folder)[0]), 0); err != nil {
		t.Fatal(err)
	}
	equal(t, drained(t, s, 10), nil)
	if got := s.State(); got.Entries != 0 || got.Damaged == 0 {
		t.Errorf("state %+v", got)
	}
	add(t, s, entries(2, 4))
	equal(t, drained(t, s, 10), entries(2, 4))
}

func FuzzFile(f *testing.F) {
	f.Add(written(f, 2))
	f.Add([]byte("\n\n00000000 \n00000000 {}\n"))
	f.Add(bytes.Repeat([]byte{0}, 100))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, damaged, _ := left(t, t.TempDir(), content)
		lines := bytes.Count(content, []byte("\n"))
		if len(content) > 0 && content[len(content)-1] != '\n' {
			lines++
		}
		if len(got)+int(damaged) != lines {
			t.Errorf("%d entries and %d damaged lines of %d lines", len(got), damaged, lines)
		}
	})
}
