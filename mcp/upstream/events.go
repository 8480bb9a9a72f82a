package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// events reads a stream of server-sent events (HTML Living Standard, 9.2).
// Lines end with LF or CRLF; a lone CR, which the standard allows too, does not
// end one.
type events struct {
	r *bufio.Reader
	// lastID and retry are what resuming the stream needs.
	lastID string
	retry  time.Duration
}

func newEvents(r io.Reader) *events {
	return &events{r: bufio.NewReaderSize(r, 16<<10), retry: time.Second}
}

// next returns the next event that has data. The data is the caller's to keep.
func (e *events) next() (kind string, data []byte, err error) {
	var id []byte
	hasData := false
	for {
		line, own, err := readLine(e.r, maxMessage)
		if err != nil {
			return "", nil, err
		}
		if len(line) == 0 {
			if id != nil {
				e.lastID = string(id)
			}
			if len(data) > 0 {
				return kind, data, nil
			}
			kind, id, hasData = "", nil, false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			switch {
			case len(data)+len(value) >= maxMessage: // over all its lines
				return "", nil, ErrTooLarge
			case hasData:
				data = append(append(data, '\n'), value...)
			case own:
				data = value
			default:
				data = bytes.Clone(value)
			}
			hasData = true
		case "event":
			kind = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 && len(value) <= 1024 {
				id = bytes.Clone(value)
				if id == nil {
					id = []byte{}
				}
			}
		case "retry":
			if ms, err := strconv.Atoi(string(value)); err == nil && ms >= 0 {
				e.retry = min(max(time.Duration(ms)*time.Millisecond, 10*time.Millisecond), lastWait)
			}
		}
	}
}

// readLine reads one line without its end. own says that the line is not part
// of the reader's buffer, which the next read overwrites.
func readLine(r *bufio.Reader, limit int) (line []byte, own bool, err error) {
	part, err := r.ReadSlice('\n')
	if err == nil {
		return bytes.TrimRight(part, "\r\n"), false, nil
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(line)+len(part) > limit {
			return nil, false, ErrTooLarge
		}
		line = append(line, part...)
		part, err = r.ReadSlice('\n')
	}
	if err != nil {
		return append(line, part...), true, err
	}
	return bytes.TrimRight(append(line, part...), "\r\n"), true, nil
}
