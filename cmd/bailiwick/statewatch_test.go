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

// What is not too old is not said to be.
func TestTooOld(t *testing.T) {
	for age, want := range map[time.Duration]string{
		8700 * time.Millisecond:  "it has not renewed its lease with the store for 10s",
		10 * time.Second:         "it has not renewed its lease with the store for 10s",
		14300 * time.Millisecond: "its state was last confirmed with the store 14.3s ago, and may be at most 10s old",
	} {
		if got := tooOld(keys.StateStats{Age: age, MaxStaleness: 10 * time.Second}); got != want {
			t.Errorf("after %v: %q, want %q", age, got, want)
		}
	}
}
