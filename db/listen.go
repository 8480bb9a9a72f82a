package db

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var _ keys.Listener = (*DB)(nil)

// listenProof is how long a notification of our own may take to arrive before
// it is taken that none does.
const listenProof = 3 * time.Second

// listenQuiet is how long nothing may be heard before the connection is tried.
const listenQuiet = 5 * time.Second

// Listen hears of each edit by Postgres's notifications, on a connection of its
// own; see keys.Listener. Whether they arrive is tried first, with one that
// goes the way of the edits: a pooler that hands out a connection for each
// transaction keeps no LISTEN, and then a direct URL is needed for this one.
func (d *DB) Listen(ctx context.Context, heard func()) error {
	if d.listen == nil || !d.notify {
		return keys.ErrNotHeard
	}
	conn, err := pgx.ConnectConfig(ctx, d.listen.Copy())
	if err != nil {
		return unreachable(ctx, d.listen, err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ending)
	}()
	asking, done := d.waiting(ctx)
	defer done()
	if _, err := conn.Exec(asking, "LISTEN "+Channel); err != nil {
		return late(ctx, err)
	}
	if err := d.proveHearing(ctx, conn); err != nil {
		return err
	}
	heard() // of what happened before
	for {
		switch err := next(ctx, conn); {
		case errors.Is(err, errQuiet):
			if err := ping(ctx, conn); err != nil {
				return late(ctx, err)
			}
		case err != nil:
			return fault(ctx, err)
		default:
			heard()
		}
	}
}

// errQuiet is a connection on which nothing came for a while.
var errQuiet = errors.New("no notification for a while")

// next waits for a notification, for a while.
func next(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, listenQuiet)
	defer cancel()
	_, err := conn.WaitForNotification(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil && !conn.IsClosed() {
		return errQuiet
	}
	return err
}

// ping makes sure that the server at the other end is still there: one that is
// gone without a word, and one that has nothing to say, look alike.
func ping(ctx context.Context, conn *pgx.Conn) error {
	waiting, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return conn.Ping(waiting)
}

func (d *DB) proveHearing(ctx context.Context, conn *pgx.Conn) error {
	word := "proof " + rand.Text()
	sending, done := d.waiting(ctx)
	defer done()
	if _, err := d.write.NewRaw("SELECT pg_notify(?, ?)", Channel, word).Exec(sending); err != nil {
		return late(ctx, err)
	}
	waiting, cancel := context.WithTimeout(ctx, listenProof)
	defer cancel()
	for {
		n, err := conn.WaitForNotification(waiting)
		switch {
		case err != nil && waiting.Err() != nil && ctx.Err() == nil:
			return keys.ErrNotHeard
		case err != nil:
			return fault(ctx, err)
		case n.Payload == word:
			return nil
		}
	}
}

// listenConfig is how the connection for notifications is made: by its own URL,
// or as the others.
func listenConfig(cfg Config, others *pgx.ConnConfig) (*pgx.ConnConfig, error) {
	if cfg.ListenURL == "" {
		return others, nil
	}
	conn, err := parseURL(cfg.ListenURL)
	if err != nil {
		return nil, errors.New("the direct database URL: " + err.Error())
	}
	return conn, nil
}
