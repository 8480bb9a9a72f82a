package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const memoryPath = ":memory:"

// The pragmas of every connection. In WAL mode synchronous=NORMAL loses nothing
// when the process is killed; a power cut can lose the last commits, never the
// file. Writers begin immediately, for a transaction that reads first and then
// wants to write fails when another was faster, whatever the timeout.
const (
	pragmas      = "_pragma=busy_timeout(5000)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)"
	writePragmas = pragmas + "&_pragma=journal_mode(WAL)&_txlock=immediate"
	readPragmas  = pragmas + "&_pragma=query_only(1)"
)

func openSQLite(ctx context.Context, cfg Config) (*DB, error) {
	switch cfg.Path {
	case "":
		return nil, errors.New("neither a database URL nor a SQLite path is given")
	case memoryPath:
		return openMemory(ctx, cfg)
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := makePrivate(path); err != nil {
		return nil, unavailable(err)
	}
	file := (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}).String()

	// The writer first: it is the one that may turn the file to WAL.
	write, err := openPool(ctx, file+"?"+writePragmas, 1)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	read, err := openPool(ctx, file+"?"+readPragmas, max(4, runtime.NumCPU()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), write.Close())
	}
	return newSQLite(cfg, write, read), nil
}

// openMemory reads and writes through the one connection that holds the data.
func openMemory(ctx context.Context, cfg Config) (*DB, error) {
	pool, err := openPool(ctx, memoryPath+"?"+writePragmas, 1)
	if err != nil {
		return nil, err
	}
	return newSQLite(cfg, pool, pool), nil
}

func newSQLite(cfg Config, write, read *sql.DB) *DB {
	d := &DB{write: newBun(write, sqlitedialect.New()), sqlite: true, now: cfg.Now}
	d.read = d.write
	if read != write {
		d.read = newBun(read, sqlitedialect.New())
	}
	return d
}

func openPool(ctx context.Context, source string, conns int) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(0)
	pool.SetConnMaxLifetime(0)
	// The first to open a new file turns it to WAL; the others are told at once
	// that it is locked, whatever their busy_timeout.
	err = repeat(ctx, func(ctx context.Context) error { return fault(ctx, pool.PingContext(ctx)) })
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// makePrivate makes the folder and the file for their owner alone; SQLite gives
// its -wal and -shm files the mode of the file.
func makePrivate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return file.Chmod(0o600)
}
