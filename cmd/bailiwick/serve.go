package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// serveFlags configure the server.
type serveFlags struct {
	storeFlags
	addr            string
	metricsAddr     string
	migrate         bool
	mcpConfig       string
	tokenPrefix     string
	maxStaleness    time.Duration
	auditSpoolLimit uint          // MiB
	auditRetention  time.Duration // 0 = for ever
	auditSample     auditSample
	publicURL       string
	allowedOrigins  []string
	allowPrivate    bool
	tlsCert         string
	tlsKey          string
	drainDelay      time.Duration
	bodyLimit       time.Duration // of a request's body to arrive; 0 = 30 s; no flag
	headLimit       time.Duration // of what comes before it; 0 = 10 s; no flag
	idleLimit       time.Duration // between two requests of a connection; 0 = 2 min; no flag
	answerLimit     time.Duration // of an answer that is no stream to be taken; 0 = 1 min; no flag
	logLevel        string
	oidc            oidcFlags
}

// minRetention leaves entries that wait to be written in peace.
const minRetention = time.Hour

func (c *cli) serve() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: exactly(),
		Long: "Run the server. On an empty store it prints \"first key: <token>\", and\n" +
			"\"listening on http://HOST:PORT\" once it accepts connections.\n\n" +
			"The root secret comes from BAILIWICK_SECRET, --secret-file, or the data folder,\n" +
			"where it is made for a new store.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return runServer(cmd.Context(), c, f)
		},
	}
	f.storeFlags.flags(cmd)
	f.oidc.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one")
	flags.StringVar(&f.metricsAddr, "metrics-addr", "", "`host:port` of a listener for /metrics alone, in plain HTTP, open to whoever reaches it; without it, /metrics is on --addr and answers to this machine alone")
	flags.BoolVar(&f.migrate, "migrate", false, "bring a Postgres schema up to date at start (SQLite always is)")
	flags.StringVar(&f.mcpConfig, "mcp-config", "", "`file` of MCP servers to mount, applied at every start: {\"mcpServers\": {...}}")
	flags.StringVar(&f.tokenPrefix, "token-prefix", keys.DefaultTokenPrefix, "`prefix` of new tokens")
	flags.DurationVar(&f.maxStaleness, "max-staleness", 10*time.Second, "refuse requests when the store was not reached for so long, which is also how long an edit waits at most for a server that has stopped")
	flags.UintVar(&f.auditSpoolLimit, "audit-spool-limit", spoolLimitDefault, "`MiB` of audit entries to keep in --data while the store can't be reached; beyond them calls are refused (503, audit.full); 0 keeps them in memory alone")
	flags.StringVar(&f.listenURL, "database-listen-url", "", "Postgres `URL` to listen for edits on, when --database-url leads to a pooler that keeps no LISTEN; without any, edits of other servers are found by polling")
	flags.StringVar(&f.publicURL, "public-url", "", "`URL` by which clients reach the server; needed when it is not a loopback one")
	flags.StringSliceVar(&f.allowedOrigins, "allowed-origin", nil, "`origin` of web pages that may call the server; repeatable")
	flags.BoolVar(&f.allowPrivate, "allow-private-upstreams", false, "let keys with manage:instances mount URLs on private addresses")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "`file` with the certificate; with --tls-key the server speaks HTTPS")
	flags.StringVar(&f.tlsKey, "tls-key", "", "`file` with the certificate's key")
	flags.DurationVar(&f.drainDelay, "drain-delay", 0, "how long to go on serving, not ready, after SIGTERM")
	flags.DurationVar(&f.auditRetention, "audit-retention", 0, "how long audit events are kept, like 720h; 0 keeps them for ever")
	f.auditSample.flag(flags, "`share`, from 0 to 1, of tool calls and the like with outcome ok that are recorded in the audit trail; denials, failed calls and changes always are")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (f *serveFlags) check() error {
	if err := f.storeFlags.check(); err != nil {
		return err
	}
	if _, err := net.ResolveTCPAddr("tcp", portOf(f.addr)); err != nil {
		return &usageError{"--addr must be host:port, like 127.0.0.1:8080 or :8080", "port 0 takes a free one"}
	}
	if f.metricsAddr != "" {
		_, _, bad := net.SplitHostPort(f.metricsAddr)
		if _, err := net.ResolveTCPAddr("tcp", portOf(f.metricsAddr)); err != nil || bad != nil {
			return &usageError{"--metrics-addr must be host:port, like 127.0.0.1:9090", "leave it out to have /metrics on --addr, for this machine alone"}
		}
	}
	if f.tokenPrefix != "" {
		if _, err := keys.NewToken(randomness, f.tokenPrefix); err != nil {
			return &usageError{"--token-prefix: " + err.Error(), "the default is " + keys.DefaultTokenPrefix}
		}
	}
	switch {
	case f.listenURL != "" && f.databaseURL == "":
		return &usageError{"--database-listen-url goes with --database-url", "leave it out for SQLite"}
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return &usageError{"--tls-cert and --tls-key go together", "give both, or neither"}
	case f.maxStaleness < time.Second:
		return &usageError{"--max-staleness must be at least 1s", "the default is 10s"}
	case f.auditRetention != 0 && f.auditRetention < minRetention:
		return &usageError{"--audit-retention must be at least 1h", "720h are thirty days; 0, the default, keeps audit events for ever"}
	case f.auditSpoolLimit > 1<<20:
		return &usageError{"--audit-spool-limit is in MiB, and at most 1048576 (1 TiB)", "the default is 256"}
	case f.drainDelay < 0:
		return &usageError{"--drain-delay must not be negative", "the default is 0s"}
	}
	if f.publicURL != "" {
		u, err := url.Parse(f.publicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return &usageError{"--public-url must be like https://mcp.example.com", "see bailiwick serve --help"}
		}
	}
	for _, origin := range f.allowedOrigins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return &usageError{"--allowed-origin must be like https://app.example.com, without a path", "see bailiwick serve --help"}
		}
	}
	return f.oidc.check()
}

// portOf is an address without its host, which is looked up when it is
// listened on; what is no address stays as it is.
func portOf(addr string) string {
	if _, port, err := net.SplitHostPort(addr); err == nil {
		return ":" + port
	}
	return addr
}

func (f *serveFlags) scheme() string {
	if f.tlsCert != "" {
		return "https"
	}
	return "http"
}

// warnOfPolling says what a pooler in between takes away. SQLite never had it.
func (f *serveFlags) warnOfPolling(log *zap.Logger) {
	if f.databaseURL != "" {
		log.Warn("no notifications arrive from the database: edits of other servers are found by polling;" +
			" if --database-url leads to a pooler, give a direct URL with --database-listen-url")
	}
}

// runServer is the life of the server. The order matters: what can fail for
// reasons outside (configuration, address, lock, database) comes before the first key, which
// is shown only once.
func runServer(ctx context.Context, c *cli, f serveFlags) (err error) {
	log, err := newLogger(c.errs, f.logLevel)
	if err != nil {
		return err
	}
	servers, err := readServers(c, f.mcpConfig)
	if err != nil {
		return err
	}
	// First of all, so that a taken address leaves nothing behind.
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", f.addr)
	if err != nil {
		return withHint(fmt.Errorf("listening: %w", err), "name another address with --addr; port 0 takes a free one")
	}
	defer func() { _ = listener.Close() }()
	var metricsListener net.Listener
	if f.metricsAddr != "" {
		metricsListener, err = new(net.ListenConfig).Listen(ctx, "tcp", f.metricsAddr)
		if err != nil {
			return withHint(fmt.Errorf("listening for metrics: %w", err), "name another address with --metrics-addr; port 0 takes a free one")
		}
		defer func() { _ = metricsListener.Close() }()
	}
	if err := f.place().MakeFolder(); err != nil {
		return err
	}
	f.warnOfFolder(log)
	if f.databaseURL == "" {
		lock, err := lockData(f.data)
		if err != nil {
			return err
		}
		defer func() { _ = lock.Close() }()
	}
	waiting, err := f.openSpool(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endAudit(log, waiting)) }()
	cfg := keys.Config{TokenPrefix: f.tokenPrefix, AllowPrivateUpstreams: f.allowPrivate,
		Decides: true, MaxStaleness: f.maxStaleness, ReplicaName: replicaName(),
		NotHeard: func() { f.warnOfPolling(log) }, AuditRetention: f.auditRetention,
		Complain: func(err error) { log.Warn("beside the requests", zap.Error(err)) }}
	if waiting != nil { // a nil *spool.Spool would be no nil keys.Spool
		cfg.Spool = waiting
	}
	s, err := f.open(ctx, c, cfg, f.migrate, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := c.enter(s.Service); err != nil {
		return err
	}
	first, err := s.Service.Bootstrap(ctx)
	if err != nil {
		return fmt.Errorf("preparing the store: %w", err)
	}
	if first != "" {
		if _, err := fmt.Fprintln(c.out, "first key:", first.Reveal()); err != nil {
			return err
		}
	}
	if err := applyConfig(ctx, s.Service, f.mcpConfig, servers); err != nil {
		return err
	}
	server, err := newServer(f, s.Service, s.DB.Stats, log)
	if err != nil {
		return err
	}
	server.metricsListener = metricsListener
	sizeHeap()
	return server.run(ctx, listener, func() error {
		if metricsListener != nil {
			log.Info("metrics", zap.String("address", metricsListener.Addr().String()))
		}
		f.auditSample.tell(log)
		log.Info("listening", zap.String("version", version), zap.String("address", listener.Addr().String()))
		_, err := fmt.Fprintf(c.out, "listening on %s://%s\n", f.scheme(), listener.Addr())
		return err
	})
}

// endpoint is the MCP URL of a server given by its base URL or that URL itself.
func endpoint(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", &usageError{"--url must be like https://mcp.example.com", "it is the server's base URL, or the one that ends in /mcp"}
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", &usageError{"--url must have no user, query or fragment", "the key comes from BAILIWICK_KEY or --key-file"}
	}
	if path := strings.TrimSuffix(u.Path, "/"); !strings.Contains(path+"/", "/mcp/") {
		u.Path = path + "/mcp"
	}
	return u.String(), nil
}
