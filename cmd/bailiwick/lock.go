package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/filelock"
)

var randomness = rand.Reader

// lockData makes this process the only server of the data folder's SQLite file,
// until the returned file is closed.
func lockData(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	got, err := filelock.Try(f)
	if got {
		err = f.Truncate(0)
		if err == nil {
			_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		}
		if err == nil {
			return f, nil
		}
	}
	holder, _ := os.ReadFile(f.Name())
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	text := "another server already serves " + folder
	if pid := strings.TrimSpace(string(holder)); pid != "" {
		text += " (process " + pid + ")"
	}
	return nil, withHint(errors.New(text), "end it first, name another folder with --data, or use Postgres (--database-url) for several servers on one store")
}
