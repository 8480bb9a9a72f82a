package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys/filelock"
	"github.com/bailiwick-mcp/bailiwick/store"
)

var randomness = rand.Reader

// lockData makes this process the only server of the data folder's SQLite file,
// until the returned file is closed. The lock lies beside the file itself, for
// the folder, or the file in it, may be a link that another folder has, too.
func lockData(folder string) (*os.File, error) {
	database, err := linkedTo(filepath.Join(folder, store.DatabaseFile))
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	f, err := os.OpenFile(lockOf(database), os.O_RDWR|os.O_CREATE, 0o600)
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

// lockOf is the path of a database's lock. Other databases of its folder have others.
func lockOf(database string) string {
	folder, name := filepath.Split(database)
	if name == store.DatabaseFile {
		return filepath.Join(folder, lockFile)
	}
	return database + "." + lockFile
}

// mostLinks is how many links on links are followed; Linux follows 40.
const mostLinks = 40

// linkedTo is the path of the file that opening path opens or makes, without links.
func linkedTo(path string) (string, error) {
	for range mostLinks {
		folder, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return "", err
		}
		path = filepath.Join(folder, filepath.Base(path))
		target, err := os.Readlink(path)
		if err != nil { // no link, or not there yet
			return path, nil
		}
		if path = target; !filepath.IsAbs(target) {
			path = filepath.Join(folder, target)
		}
	}
	return "", fmt.Errorf("%s: too many links", path)
}
