package e2e_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// doorman gives each new connection to one of a balancer's servers that is ready,
// where it stays. It counts the connections that a server closed first: those whose
// last answer had said so, and the others.
type doorman struct {
	url          string
	servers      *balancer
	told, untold atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
}

func openDoorman(t *testing.T, servers *balancer) *doorman {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &doorman{url: "http://" + l.Addr().String(), servers: servers}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { d.carry(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.mu.Lock()
		for _, conn := range d.conns {
			_ = conn.Close()
		}
		d.mu.Unlock()
		all.Wait()
	})
	return d
}

func (d *doorman) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	var server net.Conn
	for _, m := range d.servers.inTurn() {
		conn, err := net.Dial("tcp", m.host)
		if err == nil {
			server = conn
			break
		}
	}
	if server == nil {
		return
	}
	defer func() { _ = server.Close() }()
	d.mu.Lock()
	d.conns = append(d.conns, client, server)
	d.mu.Unlock()
	var left atomic.Bool // the client closed first
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client)
		left.Store(true)
		_ = server.Close()
	})
	last := &lastHead{to: client}
	_, _ = io.Copy(last, server)
	switch {
	case left.Load():
	case last.closes:
		d.told.Add(1)
	default:
		d.untold.Add(1)
	}
	_ = client.Close()
	both.Wait()
}

// lastHead passes answers on and remembers whether the last one closes its
// connection. Heads are short and come in one piece.
type lastHead struct {
	to     io.Writer
	closes bool
}

func (h *lastHead) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 ")) {
		h.closes = bytes.Contains(p, []byte("\r\nConnection: close\r\n"))
	}
	return h.to.Write(p)
}
