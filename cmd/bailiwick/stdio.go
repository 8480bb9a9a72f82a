package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

func (c *cli) stdio() *cobra.Command {
	var (
		store            storeFlags
		remote, keyFile  string
		logLevel         string
		allowPrivateURLs bool
		sample           auditSample
	)
	cmd := &cobra.Command{
		Use: "stdio", Short: "Serve one key over standard input and output", Args: exactly(),
		Long: "Serve one key over standard input and output, for clients that start their\n" +
			"servers themselves: against the local store (beside a running server or without\n" +
			"one), or relayed to the server at --url.\n\n" +
			"The key comes from BAILIWICK_KEY or --key-file. There is no flag for the key\n" +
			"itself, because lists of processes show flags.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := c.readKey(keyFile)
			if err != nil {
				return err
			}
			if remote != "" {
				return c.relay(cmd.Context(), remote, token)
			}
			log, err := newLogger(c.errs, logLevel)
			if err != nil {
				return err
			}
			sample.tell(log)
			return c.serveStdio(cmd.Context(), store, token, keys.Config{AllowPrivateUpstreams: allowPrivateURLs}, sample, log)
		},
	}
	store.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&remote, "url", "", "`URL` of a running server to relay to, in place of the local store")
	flags.StringVar(&keyFile, "key-file", "", "`file` with the key, in place of BAILIWICK_KEY")
	flags.StringVar(&logLevel, "log-level", "warn", "debug, info, warn or error, on standard error")
	flags.BoolVar(&allowPrivateURLs, "allow-private-upstreams", false, "as bailiwick serve has it")
	sample.flag(flags, "as bailiwick serve has it")
	return cmd
}

// readKey reads the key to act as. A file that is named wins.
func (c *cli) readKey(file string) (keys.Secret, error) {
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading the key: %w", err)
		}
		if token := strings.TrimSpace(string(data)); token != "" {
			return keys.Secret(token), nil
		}
		return "", fmt.Errorf("reading the key: %s is empty", file)
	}
	if token, ok := c.env("BAILIWICK_KEY"); ok && strings.TrimSpace(token) != "" {
		return keys.Secret(strings.TrimSpace(token)), nil
	}
	return "", &usageError{"no key is given", "set BAILIWICK_KEY, or name a file that holds the key with --key-file"}
}

func (c *cli) relay(ctx context.Context, base string, token keys.Secret) error {
	url, err := endpoint(base)
	if err != nil {
		return err
	}
	err = mcp.RelayStdio(ctx, mcp.RelayConfig{URL: url, Token: token, In: c.in, Out: c.out})
	return refusedKey(ended(ctx, err))
}

func (c *cli) serveStdio(ctx context.Context, f storeFlags, token keys.Secret, cfg keys.Config, sample auditSample, log *zap.Logger) (err error) {
	if err := f.place().Exists(); err != nil {
		return err
	}
	cfg.Decides, cfg.ReplicaName = true, replicaName()
	s, err := f.open(ctx, c, cfg, false, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := c.enter(s.Service); err != nil {
		return err
	}
	return c.serveKey(ctx, s.Service, token, sample, log, nil)
}

// serveKey serves one key of a Service on standard input and output, until the
// input ends, with connections of its own to the upstreams that the key reaches.
// tried, if there is one, is called once they all were tried.
func (c *cli) serveKey(ctx context.Context, svc *keys.Service, token keys.Secret, sample auditSample, log *zap.Logger, tried func(*mcp.Gateway)) error {
	p, err := svc.Authenticate(ctx, token)
	if err != nil {
		return refusedKey(err)
	}
	// No command runs here, and no credential leaves, that is not the key's.
	gateway, err := mcp.New(mcp.Config{Service: svc, Only: &p, AuditSkip: sample.skip, Version: version, Log: log.Named("mcp"), Authenticate: nobody})
	if err != nil {
		return err
	}
	// The service outlives the gateway, whose last calls it records.
	service, stopService := context.WithCancel(context.WithoutCancel(ctx))
	mounts, stopMounts := context.WithCancel(context.WithoutCancel(ctx))
	var serving, mounting sync.WaitGroup
	serving.Go(func() { logEnd(log, "service", svc.Run(service)) })
	mounting.Go(func() { logEnd(log, "gateway", gateway.Run(mounts)) })
	trying, stopTrying := context.WithCancel(ctx)
	var watching sync.WaitGroup
	if tried != nil {
		watching.Go(func() { gateway.WaitReady(trying); tried(gateway) })
	}
	err = gateway.ServeStdio(ctx, token, c.in, c.out)
	stopTrying()
	watching.Wait()
	stopMounts()
	mounting.Wait()
	stopService()
	serving.Wait()
	return refusedKey(ended(ctx, err))
}

func logEnd(log *zap.Logger, part string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Error("could not be ended cleanly", zap.String("part", part), zap.Error(err))
	}
}

// ended is nil where a signal ended what ran.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func refusedKey(err error) error {
	if errors.Is(err, keys.ErrBadCredential) {
		return withHint(errors.New("the key is not valid: it is unknown here, revoked, expired or disabled"),
			"see that BAILIWICK_KEY or --key-file has the whole key, and that --data, --database-url or --url names the server it is of")
	}
	return err
}

// nobody is for a gateway that serves no HTTP.
func nobody(*http.Request) (keys.Principal, keys.Secret, error) {
	return keys.Principal{}, "", keys.ErrUnauthenticated
}
