package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// The files of a data folder.
const (
	DatabaseFile = "bailiwick.db"
	SecretFile   = "root.secret"
)

// Config says where a store and its root secret are.
type Config struct {
	Data        string // folder of the SQLite file, and of the root secret where nothing else gives it
	DatabaseURL string // of Postgres (see db.Config.URL); "" = SQLite in Data
	ListenURL   string // see db.Config.ListenURL
	// Secret is the root secret itself, and RootSecretFile a file that holds it; at
	// most one of them is set. Neither = the file root.secret in Data.
	Secret         keys.Secret
	RootSecretFile string
	Migrate        bool // bring a Postgres schema up to date; SQLite always is
	// Fresh lets Open make a root secret for a store that nobody has used yet. The
	// data folder must be there (MakeFolder).
	Fresh bool
}

// Database says how the database alone is opened.
func (c Config) Database() db.Config {
	cfg := db.Config{URL: c.DatabaseURL, ListenURL: c.ListenURL, Migrate: c.Migrate}
	if c.DatabaseURL == "" {
		cfg.Path = filepath.Join(c.Data, DatabaseFile)
	}
	return cfg
}

// Exists refuses a folder without a store (ErrNoStore), which opening would make.
// Of a Postgres it can't tell.
func (c Config) Exists() error {
	if c.DatabaseURL != "" {
		return nil
	}
	_, err := os.Stat(c.Database().Path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s", ErrNoStore, c.Data)
	}
	return err
}

// MakeFolder makes the data folder, for its owner alone, unless it is there.
func (c Config) MakeFolder() error {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	return nil
}

// Store is an open store with its Service.
type Store struct {
	DB      *db.DB
	Service *keys.Service
}

// Close is to be called after Service.Run, if it was called, has returned.
func (s *Store) Close() error { return s.DB.Close() }

// Open opens the store and makes a Service of cfg, whose Store and Root it sets.
// Errors, beside those of db.Open and keys.New: ErrUnused, ErrSecretMissing,
// *OpenSecretError, and what ReadRootSecretFile and ParseRootSecret of keys have.
func Open(ctx context.Context, c Config, cfg keys.Config) (_ *Store, err error) {
	database, err := db.Open(ctx, c.Database())
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, database.Close())
		}
	}()
	root, made, err := c.rootSecret(ctx, database)
	if err != nil {
		return nil, err
	}
	cfg.Store, cfg.Root = database, root
	svc, err := keys.New(ctx, cfg)
	if err != nil {
		if made && errors.Is(err, keys.ErrWrongSecret) {
			// Another server was first with a new store, under its own secret.
			_ = os.Remove(c.secretPath())
		}
		return nil, err
	}
	return &Store{database, svc}, nil
}
