package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// An outage is told once at each of its steps, and its end is told.
func TestTellState(t *testing.T) {
	var b bytes.Buffer
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&b), zapcore.DebugLevel))
	was := confirmed
	for _, step := range []struct {
		age   time.Duration
		fresh bool
		says  string // "" = nothing
	}{
		{time.Second, true, ""},
		{6 * time.Second, true, `"warn"`},
		{9 * time.Second, true, ""},
		{11 * time.Second, false, `"error"`},
		{30 * time.Second, false, ""},
		{7 * time.Second, true, ""},
		{time.Second, true, `"info"`},
		{0, true, ""},
		{11 * time.Second, false, `"error"`},
		{0, true, `"info"`},
		{6 * time.Second, true, `"warn"`},
		{0, true, `"info"`},
	} {
		b.Reset()
		was = tellState(log, was, keys.StateStats{Age: step.age, Fresh: step.fresh, MaxStaleness: 10 * time.Second})
		if got := b.String(); !strings.Contains(got, step.says) || step.says == "" && got != "" || strings.Count(got, "\n") > 1 {
			t.Errorf("after %v, fresh %v: %q, want %s", step.age, step.fresh, got, step.says)
		}
	}
}
