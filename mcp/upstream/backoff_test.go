package upstream_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func TestBackoff(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, d := range n {
			out = append(out, time.Duration(d)*time.Millisecond)
		}
		return out
	}
	for name, tt := range map[string]struct{ got, want []time.Duration }{
		"shortest": {upstream.Waits(11, 0, 0), ms(50, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000)},
		"half":     {upstream.Waits(3, 0.5, 9*time.Second), ms(75, 150, 300)},
		"stable":   {upstream.Waits(3, 0, 10*time.Second), ms(50, 50, 50)},
	} {
		for i := range tt.want {
			if tt.got[i] != tt.want[i] {
				t.Errorf("%s: %v, want %v", name, tt.got, tt.want)
				break
			}
		}
	}
	if errors.Is(upstream.ErrDown, upstream.ErrGarbage) {
		t.Error("the errors are one")
	}
}
