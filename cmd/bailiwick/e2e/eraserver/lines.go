package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// serveLines serves one client over lines, until its input ends.
func serveLines(s *server, in io.Reader, out io.Writer) error {
	var writing sync.Mutex
	say := func(raw string) {
		writing.Lock()
		defer writing.Unlock()
		_, _ = fmt.Fprintln(out, raw)
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	if !s.modern {
		work.Go(func() { s.listen(ctx, &listener{say: say}, func() {}) })
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("a line that is no message: %w", err)
		}
		if m.ID == nil || m.Method == "" {
			s.take(ctx, "", m, say) // in order
			continue
		}
		work.Go(func() {
			if answer := s.take(ctx, "", m, say); answer != "" {
				say(answer)
			}
		})
	}
	return lines.Err()
}
