package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/store"
)

// storeFlags say which store a command works on.
type storeFlags struct {
	data, databaseURL, secretFile string
	listenURL                     string // of serve
}

const lockFile = "serve.lock"

func (f *storeFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.data, "data", "./bailiwick-data", "`folder` of the SQLite file and the root secret")
	flags.StringVar(&f.databaseURL, "database-url", "", "Postgres `URL` (postgres://...) in place of SQLite in --data; a password is safer in the variable, for lists of processes show flags")
	flags.StringVar(&f.secretFile, "secret-file", "", "`file` with the root secret, in place of the one in --data")
	shared(flags, "data", "database-url", "secret-file")
}

// config is where the store is. Its root secret comes from BAILIWICK_SECRET,
// --secret-file, or the data folder.
func (f *storeFlags) config(c *cli) (store.Config, error) {
	secret, _ := c.env("BAILIWICK_SECRET")
	if secret != "" && f.secretFile != "" {
		return store.Config{}, &usageError{"both BAILIWICK_SECRET and --secret-file give a root secret", "keep one of them"}
	}
	cfg := f.place()
	cfg.Secret, cfg.RootSecretFile = keys.Secret(secret), f.secretFile
	return cfg, nil
}

// place is config without the root secret.
func (f *storeFlags) place() store.Config {
	return store.Config{Data: f.data, DatabaseURL: f.databaseURL, ListenURL: f.listenURL}
}

// check refuses a URL of another database. The URL is not shown: it may hold a password.
func (f *storeFlags) check() error {
	scheme, _, _ := strings.Cut(f.databaseURL, "://")
	if f.databaseURL != "" && scheme != "postgres" && scheme != "postgresql" {
		return &usageError{"--database-url must be like postgres://user:password@host:port/database", "leave it out for SQLite in the folder --data"}
	}
	return nil
}

// open opens the store; fresh allows a root secret to be made for a new one.
func (f *storeFlags) open(ctx context.Context, c *cli, cfg keys.Config, migrate, fresh bool) (*store.Store, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	where, err := f.config(c)
	if err != nil {
		return nil, err
	}
	where.Migrate, where.Fresh = migrate, fresh
	return store.Open(ctx, where, cfg)
}

// warnOfFolder says it where others could put a database or a secret of their
// own into the folder.
func (f *storeFlags) warnOfFolder(log *zap.Logger) {
	if mode, ok := store.OpenToOthers(f.data, 0o002); ok {
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
	if err := f.place().Exists(); err != nil {
		return err
	}
	s, err := f.open(ctx, c, keys.Config{}, false, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(s.Service)
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
