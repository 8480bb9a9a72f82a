package upstream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func TestRouteHasSeeds(t *testing.T) {
	if seeds, err := os.ReadDir("testdata/fuzz/FuzzRoute"); err != nil || len(seeds) < 5 {
		t.Fatalf("%d seeds, %v", len(seeds), err)
	}
}

// FuzzRoute: whatever an upstream sends, each answer to it is one line of JSON,
// and a question reaches no call but the one on whose stream it came, or whose
// task it names.
func FuzzRoute(f *testing.F) {
	f.Fuzz(func(t *testing.T, stream []byte, on int64) {
		var lines [][]byte
		answered := false // then the other call is the only one
		for line := range bytes.SplitSeq(stream, []byte("\n")) {
			lines = append(lines, bytes.Clone(line))
			_, method, _, _, err := upstream.ParseFrame(bytes.Clone(line))
			answered = answered || err == nil && method == ""
		}
		named := bytes.Contains(stream, []byte(`task`)) || bytes.Contains(stream, []byte(`\u`))
		ask := func(id int64) func(context.Context, string, json.RawMessage) (json.RawMessage, *upstream.Error) {
			return func(_ context.Context, _ string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
				if on != id && (on != 0 || !named && !answered) {
					t.Errorf("call %d was asked %s, which came on %d", id, params, on)
				}
				return params, nil
			}
		}
		log := func(json.RawMessage) { t.Error("notes are delivered though nobody waits for them") }
		calls := []upstream.Call{{Owner: "anna", Ask: ask(1), Log: log}, {Owner: "bert", Ask: ask(2), Method: "tasks/result", Params: raw(`{"taskId":"t"}`)}}
		for _, answer := range upstream.Route(calls, on, lines) {
			if !json.Valid(answer) || bytes.ContainsAny(answer, "\r\n") {
				t.Errorf("answered %q", answer)
			}
		}
	})
}
