package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// listen keeps the session's GET stream open for what the server says unasked;
// a server that has none is left alone.
func (r *relay) listen(ctx context.Context) {
	r.mu.Lock()
	started := r.listening || r.session == ""
	r.listening = r.listening || !started
	r.mu.Unlock()
	if started {
		return
	}
	r.work.Go(func() {
		for r.listenOnce(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(relayReconnect):
			}
		}
	})
}

// listenOnce tells whether to try again.
func (r *relay) listenOnce(ctx context.Context) bool {
	res, err := r.do(ctx, http.MethodGet, nil, nil)
	if err != nil {
		return ctx.Err() == nil
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		r.refuse.Do(func() { close(r.refused) })
		return false
	case res.StatusCode == http.StatusNotFound: // the next request begins again
		return true
	case res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"):
		return false
	}
	_ = readEvents(res.Body, maxRelayed, func(data []byte) { _ = r.out.send(data) })
	return ctx.Err() == nil
}

var errEventTooLong = errors.New("event is too long")

// readEvents hands over the data of each server-sent message event until the
// stream ends (HTML standard, section 9.2.6).
func readEvents(in io.Reader, most int, each func(data []byte)) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var data, name []byte
	has := false
	for {
		line, err := readLine(r, most)
		if err != nil {
			return err
		}
		switch {
		case len(line) == 0:
			if has && (len(name) == 0 || string(name) == "message") {
				each(data)
			}
			data, name, has = nil, nil, false
		case bytes.HasPrefix(line, []byte("data:")):
			if has {
				data = append(data, '\n')
			}
			data = append(data, bytes.TrimPrefix(line[len("data:"):], []byte(" "))...)
			has = true
			if len(data) > most {
				return errEventTooLong
			}
		case bytes.HasPrefix(line, []byte("event:")):
			name = bytes.TrimSpace(line[len("event:"):])
		}
	}
}

func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var out []byte
	for {
		part, err := r.ReadSlice('\n')
		out = append(out, part...)
		if len(out) > most {
			return nil, errEventTooLong
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimRight(out, "\r\n"), err
	}
}
