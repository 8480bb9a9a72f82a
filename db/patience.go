package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"
)

// answerLimit is how long Postgres may be silent while it is asked something. A server that is stopped, or
// whose network takes everything and brings nothing, would else be waited for as
// long as TCP does: a quarter of an hour. Work that Postgres does for longer
// before its first answer can't be done, but for migrations.
const answerLimit = 5 * time.Second

// errSilent is a database that has not answered within the limit.
var errSilent = errors.New("no answer from the database in time")

// patience is how long connections and answers are waited for.
type patience struct {
	acquire time.Duration // for a connection while nothing is heard of the database
	heard   atomic.Int64  // when anything was, in nanoseconds since the epoch
	mu      sync.Mutex
	answer  time.Duration // 0 = for ever
}

func (p *patience) limit() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answer
}

// endlessly runs fn without a limit on answers. It is for what runs before
// anything else does.
func (p *patience) endlessly(fn func() error) error {
	if p == nil {
		return fn()
	}
	set := func(limit time.Duration) time.Duration {
		p.mu.Lock()
		defer p.mu.Unlock()
		was := p.answer
		p.answer = limit
		return was
	}
	was := set(0)
	defer set(was)
	return fn()
}

// dial makes a pgx dialer whose connections break when they are silent.
func (p *patience) dial(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: conn, patience: p}, nil
	}
}

// impatientConn is a connection whose reads and writes each end with errSilent
// after the limit. It is for connections that are read from only when an answer
// is due.
type impatientConn struct {
	net.Conn
	patience *patience
	mu       sync.Mutex
	until    time.Time // as the driver asked for, when a context ends; zero = never
}

// due is when to give up. Called under mu.
func (c *impatientConn) due() (at time.Time) {
	if limit := c.patience.limit(); limit > 0 {
		at = time.Now().Add(limit)
	}
	if !c.until.IsZero() && (at.IsZero() || c.until.Before(at)) {
		return c.until
	}
	return at
}

func (c *impatientConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetDeadline(t)
}

func (c *impatientConn) Read(b []byte) (int, error) {
	n, err := c.do(c.Conn.SetReadDeadline, func() (int, error) { return c.Conn.Read(b) })
	if n > 0 {
		c.patience.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

func (c *impatientConn) Write(b []byte) (int, error) {
	return c.do(c.Conn.SetWriteDeadline, func() (int, error) { return c.Conn.Write(b) })
}

func (c *impatientConn) do(set func(time.Time) error, fn func() (int, error)) (int, error) {
	c.mu.Lock()
	err := set(c.due())
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := fn()
	c.mu.Lock()
	defer c.mu.Unlock()
	var late net.Error
	if errors.As(err, &late) && late.Timeout() && c.until.IsZero() {
		// Not a time-out to the driver, after which it would go on with the connection.
		return n, fmt.Errorf("%w (%s)", errSilent, c.patience.limit())
	}
	return n, err
}

// waiting ends ctx when a database has not said anything to anybody for the time
// that a connection may take. Who waits in a queue of requests that are answered
// goes on waiting.
func (d *DB) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	p := d.patience
	if p == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	begun := time.Now()
	timers := make(chan *time.Timer, 1)
	timer := time.AfterFunc(p.acquire, func() {
		timer := <-timers
		defer func() { timers <- timer }()
		quiet := min(time.Since(begun), time.Since(time.Unix(0, p.heard.Load())))
		if quiet >= p.acquire {
			cancel()
			return
		}
		timer.Reset(p.acquire - quiet)
	})
	timers <- timer
	return ctx, func() { timer.Stop(); cancel() }
}

// late is the fault of what was done under waiting, where ctx is the caller's.
func late(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return unavailable(fmt.Errorf("%w: %w", errSilent, err))
	}
	return fault(ctx, err)
}

// begin opens a transaction. Only the wait for its connection is bounded here;
// in the work each answer is. release is to be
// called at the end.
func (d *DB) begin(ctx context.Context, pool *bun.DB, opts *sql.TxOptions) (tx bun.Tx, release func(), err error) {
	waiting, cancel := d.waiting(ctx)
	defer cancel()
	conn, err := pool.Conn(waiting)
	if err != nil {
		return tx, nil, late(ctx, err)
	}
	tx, err = conn.BeginTx(ctx, opts)
	if err != nil {
		_ = conn.Close()
		return tx, nil, late(ctx, err)
	}
	return tx, func() { _ = tx.Rollback(); _ = conn.Close() }, nil
}
