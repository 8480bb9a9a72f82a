package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// slowCall is longer than rollingDelay, and shorter than what runs is given to finish.
const slowCall = 2 * rollingDelay

// faultyCall answers a call of a stdio upstream with one fault, false = it has
// none of these:
//
//	die    ends in the middle of a line
//	twice  answers two times
//	stray  answers ids that nobody asked, and null, before the right one
//	flood  tells of progress without end and never answers
//	huge   answers with a line of 100 MB
//	latin  answers in text that is not UTF-8
//	slow   answers after slowCall, and reads on meanwhile
func faultyCall(fault string, id json.RawMessage, out io.Writer) bool {
	say := func(id, text string) {
		fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}`+"\n", id, text)
	}
	switch fault {
	case "die":
		fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":{"content":[`, id)
		os.Exit(1)
	case "twice":
		say(string(id), "first")
		say(string(id), "second")
	case "stray":
		say("999999999", "to nobody")
		say(`"x"`, "to nobody")
		say("null", "to nobody")
		say(string(id), "to who asked")
	case "flood":
		go func() { // it goes on reading
			for {
				fmt.Fprintf(out, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1}}`+"\n", id)
			}
		}()
	case "huge":
		say(string(id), strings.Repeat("x", 100<<20))
	case "latin":
		say(string(id), "caf\xe9")
	case "slow":
		go func() {
			time.Sleep(slowCall)
			say(string(id), "at last")
		}()
	default:
		return false
	}
	return true
}

// TestFaultyCallsOverStdio: whatever a process does with a call, its client gets
// an answer that names the instance, and another tenant is served meanwhile.
func TestFaultyCallsOverStdio(t *testing.T) {
	t.Parallel()
	m := notesServer(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	faults := map[string]string{
		"die": "The instance die is not reachable", "twice": "first", "stray": "to who asked", "flood": "",
		"huge":  "The instance huge gave an answer that is larger than a message may be",
		"latin": "The instance latin gave an answer that is not valid MCP: its text is not valid UTF-8.",
	}
	var tools []string
	for fault := range faults {
		m.stdio(t, "alpha", fault, self, "faulty-upstream", fault)
		tools = append(tools, fault+"__good")
	}
	m.settle(t, tools...)
	_, token := m.rest().key(t, fullAccess())
	things := otherTenant(t, m.server)
	client, other := modern{m.url + "/mcp", token}, modern{m.url + "/mcp", things.token}
	rest{m.url, things.token}.create(t, "/api/instances", object{"projectId": things.project, "slug": "good",
		"transport": "stdio", "command": notesBin, "writeEnabled": true, "trustAnnotations": true})
	eventually(t, "the other tenant's upstream", func() string {
		if listTools(t, other)["good__read_note"] == nil {
			return "it is not listed"
		}
		return ""
	})
	// The flood goes on while the others are called.
	message, header := client.request("tools/call", object{"name": "flood__good", "arguments": object{}})
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	flood := make(chan error, 1)
	go func() { flood <- postUntil(ctx, client, message, header) }()
	for fault, want := range faults {
		if fault == "flood" {
			continue
		}
		if said, _ := text(t, callTool(t, client, fault+"__good", object{})); !strings.Contains(said, want) {
			t.Errorf("%s: the client got %.200q, want %q", fault, said, want)
		}
		if said, failed := text(t, callTool(t, other, "good__read_note", object{"title": "standup"})); failed {
			t.Errorf("%s: another tenant got %s", fault, said)
		}
	}
	select {
	case err := <-flood:
		t.Errorf("the call that is never answered ended: %v", err)
	default:
	}
	leave()
	if err := <-flood; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	// What fell over is there again, and one wrong answer ends no process.
	for _, fault := range []string{"die", "huge", "latin", "twice"} {
		eventually(t, fault+" is up again", func() string {
			said, _ := text(t, callTool(t, client, fault+"__good", object{}))
			if !strings.Contains(said, faults[fault]) {
				return said
			}
			return ""
		})
	}
}
