package spool_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/spool"
)

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
