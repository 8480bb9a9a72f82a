package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// hasRoom tells whether what was answered so far may all be on disk or in memory.
func (o *outage) hasRoom(t *testing.T) bool {
	answered := o.passed.Load() + o.denied.Load()
	if answered <= waiting {
		return true
	}
	onDisk := 0 // by now, so not too few
	for _, file := range o.spoolFiles(t) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		onDisk += bytes.Count(content, []byte("\n"))
	}
	return answered <= int64(waiting+onDisk+2*atOnce)
}

// someWritten waits until more of the denials that wait on disk are in the
// database than there were before it was cut off.
func (o *outage) someWritten(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), o.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var n int64
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE kind = 'decision' AND tool LIKE 'ghost-%'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 100 {
			return
		}
	}
	t.Fatal("what waits on disk is not written")
}

// spooled are the bytes of audit entries on disk.
func (o *outage) spooled(t *testing.T) (n int64) {
	t.Helper()
	for _, file := range o.spoolFiles(t) {
		if info, err := os.Stat(file); err == nil {
			n += info.Size()
		}
	}
	return n
}

func (o *outage) spoolFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(o.data, "audit-spool", "*"))
	if err != nil {
		t.Error(err)
	}
	return files
}
