package keys_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// pinModel is what the words say of pins, read naively: of every tool that was
// ever seen, the digest that was approved; "" = none.
type pinModel map[string]string

// TestPinDefinitions: over any sequence of announcements and approvals, a tool
// is offered exactly when what is announced is what was approved of it, and no
// announcement moves a pin, whatever it says of one.
func TestPinDefinitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stored []keys.Definition
		model := pinModel{}
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4, rapid.ID).Draw(t, "names")
			hold := rapid.Bool().Draw(t, "hold")
			var announced []keys.Definition
			for _, name := range names {
				digest := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "digest")
				announced = append(announced, keys.Definition{Kind: keys.KindTool, Name: name, Digest: digest,
					Raw: json.RawMessage(`"` + digest + `"`), Pinned: digest, PinVersion: 99, Gone: true})
			}
			known := len(model) > 0
			stored = keys.PinDefinitions(stored, announced, hold)
			model.announce(announced, known && hold)
			check(t, model, stored, announced)
			if offered := keys.Announced(stored); len(offered) > 0 && rapid.Bool().Draw(t, "approve") {
				d := rapid.SampledFrom(offered).Draw(t, "which")
				for n := range stored {
					if stored[n].Name == d.Name {
						stored[n].Pinned, stored[n].PinVersion, stored[n].Approved = d.Digest, int64(step+1), nil
					}
				}
				model[d.Name] = d.Digest
			}
		}
	})
}

func (m pinModel) announce(announced []keys.Definition, hold bool) {
	here := map[string]bool{}
	for _, d := range announced {
		here[d.Name] = true
		if _, seen := m[d.Name]; !seen {
			m[d.Name] = d.Digest
			if hold {
				m[d.Name] = ""
			}
		}
	}
	for name, pin := range m {
		if pin == "" && !here[name] {
			delete(m, name) // nothing was approved: there is nothing to remember
		}
	}
}

func check(t *rapid.T, model pinModel, stored, announced []keys.Definition) {
	want := map[string]string{}
	for _, d := range announced {
		want[d.Name] = d.Digest
	}
	if len(stored) != len(model) {
		t.Fatalf("%d are stored, want %v", len(stored), model)
	}
	for _, d := range stored {
		digest, here := want[d.Name]
		switch pin := model[d.Name]; {
		case d.Pinned != pin || d.Gone == here:
			t.Fatalf("%s: pinned %q, gone %v; want %q, %v", d.Name, d.Pinned, d.Gone, pin, !here)
		case here && (d.Digest != digest || d.Quarantined() != (digest != pin)):
			t.Fatalf("%s: announced %q, quarantined %v; want %q, held against %q", d.Name, d.Digest, d.Quarantined(), digest, pin)
		case pin != "" && string(d.Accepted()) != fmt.Sprintf("%q", pin):
			t.Fatalf("%s: the approved definition is %s, want %q", d.Name, d.Accepted(), pin)
		}
	}
}
