package http1

import (
	"context"
	"io"
	"sync"
)

// body is that of an answer. Its end gives the connection back.
type body struct {
	io.ReadCloser
	c    *conn
	ctx  context.Context
	stop func() bool // of what ends the connection with ctx
	keep bool        // the server keeps the connection
	once sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.end(true)
	case err != nil:
		b.end(false)
		if b.ctx.Err() != nil {
			err = context.Cause(b.ctx)
		}
	}
	return n, err
}

// Close ends the connection, unless the whole answer was read. It may be called
// beside Read, which it ends.
func (b *body) Close() error {
	b.end(false)
	return nil
}

// end keeps the connection for others only after a whole answer with nothing behind
// it, and where nothing has ended it meanwhile.
func (b *body) end(whole bool) {
	b.once.Do(func() {
		if stopped := b.stop(); stopped && whole && b.keep && b.c.in.Buffered() == 0 {
			b.c.t.put(b.c)
			return
		}
		_ = b.c.Close()
	})
}
