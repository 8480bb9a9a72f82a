package wire_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestWorkedExample: the documentation's events have the hashes that it
// says, and the text is what the first one's is over.
func TestWorkedExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	doc, before, seen := string(text), "", 0
	for line := range strings.Lines(doc) {
		if !strings.HasPrefix(line, `{"id":`) {
			continue
		}
		var event wire.AuditEvent
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		e := event.Entry()
		if got := keys.AuditHash(before, &e); got != e.Hash {
			t.Errorf("event %d has the hash %s, want %s", e.Seq, e.Hash, got)
		}
		before = e.Hash
		seen++
	}
	for block := range strings.SplitSeq(doc, "```text\n") {
		text, _, _ := strings.Cut(block, "\n```")
		if sum := sha256.Sum256([]byte(text)); strings.Contains(doc, `"hash":"`+hex.EncodeToString(sum[:])) {
			seen++
		}
	}
	if seen != 4 {
		t.Errorf("found %d events and texts in the documentation", seen)
	}
}

// TestHashOfAnExport: an event that was exported has the hash that it was
// stored with, whatever it says.
func TestHashOfAnExport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		detail, err := json.Marshal(map[string]any{text.Draw(t, "name"): text.Draw(t, "value"), "n": rapid.Float64().Draw(t, "number"),
			"i": rapid.Int64().Draw(t, "integer")})
		if err != nil {
			t.Fatal(err)
		}
		e, err := keys.AuditEntry{
			ID: "e1", TenantID: "t1", Time: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")), Kind: "call",
			Action: text.Draw(t, "action"), Actor: text.Draw(t, "actor"), KeyID: text.Draw(t, "key"), KeyVersion: rapid.Int64().Draw(t, "version"),
			Subject: text.Draw(t, "subject"), Tool: text.Draw(t, "tool"), Failed: rapid.SliceOf(text).Draw(t, "failed"),
			Seen: rapid.SampledFrom([]string{"", "{}", keys.SeenOf(nil), keys.SeenOf(&policy.Tool{Category: "a<b", Effect: policy.EffectRead})}).Draw(t, "seen"), Ref: text.Draw(t, "ref"),
			Latency: time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "latency")), Client: text.Draw(t, "client"),
			Epoch: rapid.Int64().Draw(t, "epoch"), Detail: detail, Writer: "w1", Seq: 1,
		}.Stored()
		if err != nil {
			t.Fatal(err)
		}
		e.Hash = keys.AuditHash("", &e)
		line, err := json.Marshal(wire.AuditEventOf(e))
		if err != nil {
			t.Fatal(err)
		}
		var event wire.AuditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		back := event.Entry()
		if got := keys.AuditHash("", &back); got != back.Hash {
			t.Fatalf("hash %s, want %s of %s", got, back.Hash, line)
		}
	})
}
