package db_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// muffler carries connections to a database until it is muffled: then they
// stay, and take everything, and nothing comes back.
type muffler struct {
	network, target string
	muffled         atomic.Bool
	all             sync.WaitGroup
	mu              sync.Mutex
	conns           []net.Conn
}

func muffle(t *testing.T, cfg db.Config) (*muffler, db.Config) {
	t.Helper()
	at, err := pgconn.ParseConfig(cfg.URL)
	if err != nil {
		t.Fatal(err)
	}
	m := &muffler{}
	m.network, m.target = pgconn.NetworkAddress(at.Host, at.Port)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.all.Go(func() { m.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		m.mu.Lock()
		for _, conn := range m.conns {
			_ = conn.Close()
		}
		m.mu.Unlock()
		m.all.Wait()
	})
	u := url.URL{Scheme: "postgres", User: url.UserPassword(at.User, at.Password), Host: l.Addr().String(),
		Path: "/" + at.Database, RawQuery: "sslmode=disable"}
	return m, db.Config{URL: u.String()}
}

func (m *muffler) carry(conn net.Conn) {
	to, err := net.Dial(m.network, m.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	m.mu.Lock()
	m.conns = append(m.conns, conn, to)
	m.mu.Unlock()
	pump := func(from, to net.Conn) {
		b := make([]byte, 16<<10)
		for {
			n, err := from.Read(b)
			if n > 0 && !m.muffled.Load() {
				_, _ = to.Write(b[:n])
			}
			if err != nil {
				if !m.muffled.Load() || errors.Is(err, io.EOF) {
					_ = to.Close()
				}
				return
			}
		}
	}
	m.all.Go(func() { pump(to, conn) })
	pump(conn, to)
}

// TestSilentPostgres asks a database that has fallen silent, its connections
// open: everything ends, as unavailable, what listens too.
func TestSilentPostgres(t *testing.T) {
	m, cfg := muffle(t, dbtest.Postgres(t))
	d := dbtest.Open(t, cfg)
	ctx := t.Context()
	listening := make(chan struct{}, 100)
	listened := make(chan error, 1)
	go func() { listened <- d.Listen(ctx, func() { listening <- struct{}{} }) }()
	select {
	case <-listening:
	case err := <-listened:
		t.Fatal(err)
	}
	r := keys.Replica{ID: newID(), Name: "one", Lease: time.Second}
	if err := d.Register(ctx, r); err != nil {
		t.Fatal(err)
	}
	m.muffled.Store(true)
	asks := map[string]func() error{
		"epoch":    func() error { _, err := d.Epoch(ctx); return err },
		"changes":  func() error { _, err := d.Changes(ctx, 0, 1); return err },
		"replicas": func() error { _, err := d.Replicas(ctx); return err },
		"beat":     func() error { return d.Beat(ctx, r) },
		"read": func() error {
			return d.Read(ctx, func(r keys.Reader) error { _, err := r.Tenants(ctx); return err })
		},
		"edit": func() error {
			_, err := d.Edit(ctx, func(w keys.Writer) error { return w.PutMeta(ctx, "a", "b") })
			return err
		},
		"used": func() error { return d.TouchKeys(ctx, map[string]time.Time{newID(): time.Now()}) },
	}
	var all sync.WaitGroup
	for range 30 { // more than there are connections
		for name, ask := range asks {
			all.Go(func() { unavailableSoon(t, name, ask) })
		}
	}
	all.Go(func() { unavailableSoon(t, "listen", func() error { return <-listened }) })
	all.Wait()
}

// unavailableSoon holds that what is asked fails in seconds, for a busy machine.
func unavailableSoon(t *testing.T, name string, ask func() error) {
	answered := make(chan error, 1)
	go func() { answered <- ask() }()
	select {
	case err := <-answered:
		if !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	case <-time.After(40 * time.Second):
		t.Errorf("%s: no end", name)
	}
}

// TestStoppedEditHoldsNoOther stops in the middle of an edit: others have to
// wait for it, but not for ever, and it is not done.
func TestStoppedEditHoldsNoOther(t *testing.T) {
	cfg := dbtest.Postgres(t)
	d, other := dbtest.Open(t, cfg), dbtest.Open(t, cfg)
	stopped, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := d.Edit(t.Context(), func(w keys.Writer) error {
			err := w.PutMeta(t.Context(), "who", "the stopped one")
			close(stopped)
			<-goOn
			return err
		})
		ended <- err
	}()
	<-stopped
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	edit := func() error {
		_, err := other.Edit(ctx, func(w keys.Writer) error { return w.PutMeta(ctx, "who", "another") })
		return err
	}
	err := edit()
	for err != nil && ctx.Err() == nil {
		err = edit()
	}
	if err != nil {
		t.Errorf("another edit: %v", err)
	}
	close(goOn)
	if err := <-ended; !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("the stopped edit: %v", err)
	}
}
