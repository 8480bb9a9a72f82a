package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

const (
	// Edits wait for one another at the epoch's row. They have connections of
	// their own, few, so that a queue of edits never keeps reads waiting.
	postgresWriters  = 4
	postgresReaders  = 16
	postgresIdle     = 10
	postgresLifetime = 30 * time.Minute
)

func openPostgres(ctx context.Context, cfg Config) (*DB, error) {
	conn, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	patience := &patience{answer: answerLimit, acquire: max(answerLimit, time.Duration(len(hosts(conn)))*conn.ConnectTimeout)}
	pooled := conn.Copy()
	pooled.DialFunc = patience.dial(conn.DialFunc)
	pool := func(most int) *bun.DB {
		each := pooled.Copy()
		// A pooler's connection on which somebody's LISTEN ran sends notifications
		// to whoever has it next, where pgx would keep them.
		each.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
		p := stdlib.OpenDB(*each)
		p.SetMaxOpenConns(most)
		p.SetMaxIdleConns(min(most, postgresIdle))
		p.SetConnMaxLifetime(postgresLifetime)
		return newBun(p, pgdialect.New())
	}
	listen, err := listenConfig(cfg, conn)
	if err != nil {
		return nil, err
	}
	d := &DB{write: pool(postgresWriters), read: pool(postgresReaders), listen: listen, patience: patience, now: cfg.Now}
	if err := d.read.PingContext(ctx); err != nil {
		return nil, errors.Join(unreachable(ctx, conn, err), d.Close())
	}
	// CockroachDB has no notifications; there the poll alone does the work.
	err = d.read.NewSelect().TableExpr("pg_proc").ColumnExpr("count(*) > 0").
		Where("proname = 'pg_notify'").Scan(ctx, &d.notify)
	if err != nil {
		return nil, errors.Join(fault(ctx, err), d.Close())
	}
	return d, nil
}

// parseURL never passes on the parser's error: it may quote the password.
func parseURL(url string) (*pgx.ConnConfig, error) {
	const form = "use postgres://user:password@host:port/database"
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, errors.New("the database URL is not one of Postgres: " + form)
	}
	conn, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database URL can't be read: " + form +
			", with special characters of the password percent-encoded")
	}
	// Without prepared statements any pooler in between will do, and a changed
	// schema breaks no cached plan.
	conn.DefaultQueryExecMode = pgx.QueryExecModeExec
	if conn.ConnectTimeout == 0 { // as many hosts as there are have their turn within the limit
		conn.ConnectTimeout = max(answerLimit/time.Duration(len(hosts(conn))), time.Second)
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "bailiwick"
	}
	return conn, nil
}

// hosts are where the database is looked for, in order: host:port, or a socket's path.
func hosts(conn *pgx.ConnConfig) []string {
	_, first := pgconn.NetworkAddress(conn.Host, conn.Port)
	all := []string{first}
	for _, f := range conn.Fallbacks { // the same host again, where TLS may be left out
		if _, next := pgconn.NetworkAddress(f.Host, f.Port); !slices.Contains(all, next) {
			all = append(all, next)
		}
	}
	return all
}

// unreachable says in one line where the database was looked for and why that
// failed: the server's own word, else the network's.
func unreachable(ctx context.Context, conn *pgx.ConnConfig, err error) error {
	if ctx.Err() != nil {
		return fault(ctx, err)
	}
	reason := "connection failed"
	var server *pgconn.PgError
	var dial *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &server):
		reason = server.Message
	case errors.As(err, &name):
		reason = "no such host"
	case errors.As(err, &dial):
		reason = dial.Err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		reason = "no answer within " + conn.ConnectTimeout.String()
	case conn.ValidateConnect != nil: // its errors have no type
		reason = "no host there is as target_session_attrs asks"
	}
	text := fmt.Sprintf("Postgres at %s, database %q: %s", strings.Join(hosts(conn), ", "), conn.Database, reason)
	return &unavailableError{text: text, cause: err}
}
