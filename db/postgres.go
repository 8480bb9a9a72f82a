package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
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
	connectTimeout   = 10 * time.Second // where the URL says none
)

func openPostgres(ctx context.Context, cfg Config) (*DB, error) {
	conn, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	pool := func(most int) *bun.DB {
		each := conn.Copy()
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
	d := &DB{write: pool(postgresWriters), read: pool(postgresReaders), listen: listen, now: cfg.Now}
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
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
	}
	if conn.RuntimeParams["application_name"] == "" {
		conn.RuntimeParams["application_name"] = "bailiwick"
	}
	return conn, nil
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
	}
	at := net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port)))
	text := fmt.Sprintf("Postgres at %s, database %q: %s", at, conn.Database, reason)
	return &unavailableError{text: text, cause: err}
}
