package spool_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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
		Decision: "deny", Failed: []string{"readonly"}, Seen: `{"unknown":true}`, Ref: "r", ArgsDigest: "d", Outcome: "ok",
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
