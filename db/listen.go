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
	if _, err := conn.Exec(ctx, "LISTEN "+Channel); err != nil {
		return fault(ctx, err)
	}
	if err := d.proveHearing(ctx, conn); err != nil {
		return err
	}
	heard() // of what happened before
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return fault(ctx, err)
		}
		heard()
	}
}

func (d *DB) proveHearing(ctx context.Context, conn *pgx.Conn) error {
	word := "proof " + rand.Text()
	if _, err := d.write.NewRaw("SELECT pg_notify(?, ?)", Channel, word).Exec(ctx); err != nil {
		return fault(ctx, err)
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
