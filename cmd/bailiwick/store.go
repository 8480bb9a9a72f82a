package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// storeFlags say which store a command works on.
type storeFlags struct {
	data, databaseURL, secretFile string
	listenURL                     string // of serve
}

const (
	databaseFile = "bailiwick.db"
	secretFile   = "root.secret"
	lockFile     = "serve.lock"
)

func (f *storeFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.data, "data", "./bailiwick-data", "`folder` of the SQLite file and the root secret")
	flags.StringVar(&f.databaseURL, "database-url", "", "Postgres `URL` (postgres://...) in place of SQLite in --data; a password is safer in the variable, for lists of processes show flags")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` with the root secret, in place of the one in --data")
	shared(flags, "data", "database-url", "secret-file")
}

func (f *storeFlags) config() db.Config {
	cfg := db.Config{URL: f.databaseURL, ListenURL: f.listenURL}
	if f.databaseURL == "" {
		cfg.Path = filepath.Join(f.data, databaseFile)
	}
	return cfg
}

// check refuses a URL of another database. The URL is not shown: it may hold a password.
func (f *storeFlags) check() error {
	scheme, _, _ := strings.Cut(f.databaseURL, "://")
	if f.databaseURL != "" && scheme != "postgres" && scheme != "postgresql" {
		return &usageError{"--database-url must be like postgres://user:password@host:port/database", "leave it out for SQLite in the folder --data"}
	}
	return nil
}

// exists refuses a folder without a store, which opening would make.
func (f *storeFlags) exists() error {
	if f.databaseURL != "" {
		return nil
	}
	_, err := os.Stat(f.config().Path)
	if errors.Is(err, fs.ErrNotExist) {
		return withHint(fmt.Errorf("there is no store in %s", f.data), "start bailiwick serve once to make one, or name the right folder with --data")
	}
	return err
}

// store is an open store with its Service.
type store struct {
	db  *db.DB
	svc *keys.Service
}

func (s *store) Close() error { return s.db.Close() }

// open opens the store; fresh allows a root secret to be made for a new one.
func (f *storeFlags) open(ctx context.Context, c *cli, cfg keys.Config, migrate, fresh bool) (_ *store, err error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	config := f.config()
	config.Migrate = migrate
	database, err := db.Open(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, database.Close())
		}
	}()
	root, made, err := f.rootSecret(ctx, c, database, fresh)
	if err != nil {
		return nil, err
	}
	cfg.Store, cfg.Root = database, root
	svc, err := keys.New(ctx, cfg)
	if err != nil {
		if made && errors.Is(err, keys.ErrWrongSecret) {
			// Another server was first with a new store, under its own secret.
			_ = os.Remove(filepath.Join(f.data, secretFile))
		}
		return nil, err
	}
	return &store{database, svc}, nil
}

// rootSecret reads the root secret: BAILIWICK_SECRET, --secret-file, or the
// data folder's, which is made (and made is true) where the store is new.
func (f *storeFlags) rootSecret(ctx context.Context, c *cli, s keys.Store, fresh bool) (root keys.RootSecret, made bool, err error) {
	text, inEnv := c.env("BAILIWICK_SECRET")
	inEnv = inEnv && text != ""
	switch {
	case inEnv && f.secretFile != "":
		return root, false, &usageError{"both BAILIWICK_SECRET and --secret-file give a root secret", "keep one of them"}
	case inEnv:
		root, err = keys.ParseRootSecret(text)
		return root, false, err
	case f.secretFile != "":
		// Its mode is not ours: container platforms mount secrets as 0444 or 0644.
		root, err = keys.ReadRootSecretFile(f.secretFile)
		return root, false, err
	}
	path := filepath.Join(f.data, secretFile)
	root, err = readSecretFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, false, err
	}
	epoch, err := s.Epoch(ctx)
	if err != nil {
		return root, false, err
	}
	if epoch == 0 && !fresh {
		// Opening with a secret notes its fingerprint, which is the first edit.
		return root, false, withHint(errors.New("nobody has served this store yet, so it has no root secret and no tenant"),
			"start bailiwick serve once, which prepares it")
	}
	if epoch > 0 {
		return root, false, withHint(fmt.Errorf("the root secret of this store is missing: %s is not there", path),
			"give it with BAILIWICK_SECRET or --secret-file: another server on this store has it, or a backup; without it no key of this store can be checked")
	}
	return makeRootSecret(path)
}

// readSecretFile refuses a secret that everybody on the machine may read or
// replace. A group may: systems that hand out secrets need one.
func readSecretFile(path string) (keys.RootSecret, error) {
	if mode, ok := openToOthers(path, 0o007); ok {
		return keys.RootSecret{}, withHint(fmt.Errorf("reading the root secret: others may read or write %s (mode %04o)", path, mode),
			"chmod 600 "+path+"; if somebody else has read it, its keys and credentials are theirs too")
	}
	return keys.ReadRootSecretFile(path)
}

// openToOthers tells whether a file or folder has one of the bits. What can't
// be looked at fails when it is used; Windows has no such bits.
func openToOthers(path string, bits fs.FileMode) (fs.FileMode, bool) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || !info.Mode().IsRegular() && !info.IsDir() {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&bits != 0
}

func makeRootSecret(path string) (root keys.RootSecret, made bool, err error) {
	root, err = keys.NewRootSecret(randomness)
	if err != nil {
		return root, false, err
	}
	switch err = keys.WriteRootSecretFile(path, root); {
	case errors.Is(err, fs.ErrExist):
		root, err = readSecretFile(path)
		return root, false, err
	case err != nil:
		return root, false, err
	}
	return root, true, nil
}

// makeDataFolder makes the folder, for its owner alone.
func (f *storeFlags) makeDataFolder() error {
	if err := os.MkdirAll(f.data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	return nil
}

// warnOfFolder says it where others could put a database or a secret of their
// own into the folder.
func (f *storeFlags) warnOfFolder(log *zap.Logger) {
	if mode, ok := openToOthers(f.data, 0o002); ok {
		log.Warn("others may write into the data folder: chmod 700 it",
			zap.String("folder", f.data), zap.String("mode", fmt.Sprintf("%04o", mode)))
	}
}

// local is the command line on the server's own machine: the operator, in one
// tenant, on a store that exists.
type local struct {
	storeFlags
	tenant string
}

func (l *local) flags(cmd *cobra.Command) {
	l.storeFlags.flags(cmd)
	cmd.Flags().StringVar(&l.tenant, "tenant", "default", "`tenant` to work in, by id or slug")
	shared(cmd.Flags(), "tenant")
}

// do runs fn as the operator in the tenant.
func (l *local) do(ctx context.Context, c *cli, fn func(svc *keys.Service, p keys.Principal) error) error {
	return l.with(ctx, c, func(svc *keys.Service) error {
		p, err := svc.Operator(ctx, l.tenant)
		if errors.Is(err, keys.ErrNotFound) {
			return withHint(fmt.Errorf("tenant %q: %w", l.tenant, err), "bailiwick tenants list shows them")
		}
		if err != nil {
			return err
		}
		return fn(svc, p)
	})
}

// with runs fn on a store that exists.
func (f *storeFlags) with(ctx context.Context, c *cli, fn func(svc *keys.Service) error) (err error) {
	if err := f.exists(); err != nil {
		return err
	}
	s, err := f.open(ctx, c, keys.Config{}, false, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(s.svc)
}

// replicaName tells people which process it is.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// absent names what was not found.
func absent(err error, noun, name string) error {
	if errors.Is(err, keys.ErrNotFound) {
		// Of these commands, only those on keys can ask a server.
		hint := "bailiwick " + noun + "s list shows them, and GET /api/" + noun + "s"
		if noun == "key" {
			hint = "bailiwick keys list shows them; revoked ones, which go by their ids alone, with --revoked"
		}
		return withHint(fmt.Errorf("%s %q: %w", noun, name, err), hint)
	}
	return err
}
