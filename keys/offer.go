package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Offer is what a tenant has on offer at one moment, as policies see it.
type Offer struct {
	Version string    // 16 hexadecimal digits; of equal offers equal
	Items   []Offered // by kind as in the protocol (tools first), then by exposed name
}

// The kinds of what is on offer beside KindTool.
const (
	KindPrompt   = "prompt"
	KindResource = "resource"
	KindTemplate = "template"
)

// Offered is one tool, or one prompt, resource or template, which policies see as
// a tool that reads.
type Offered struct {
	Kind string // KindTool, KindPrompt, KindResource or KindTemplate
	Tool policy.Tool
}

// NewOffer is the offer of the items, which stay in their order.
func NewOffer(items []Offered) Offer {
	sum := sha256.New()
	_ = json.NewEncoder(sum).Encode(items) // of texts and flags it never fails
	return Offer{Version: hex.EncodeToString(sum.Sum(nil)[:8]), Items: items}
}

// Find is what has the exposed name or the canonical id; nil when nothing has.
func (o *Offer) Find(name string) *policy.Tool {
	for i := range o.Items {
		if t := &o.Items[i].Tool; t.Name == name || t.ID == name {
			return t
		}
	}
	return nil
}
