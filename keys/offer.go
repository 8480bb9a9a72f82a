package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Offer is what a tenant has on offer at one moment, as policies see it.
type Offer struct {
	Version string    // 16 hexadecimal digits; of equal offers equal
	Items   []Offered // by kind as in the protocol (tools first), then by exposed name
	// Unlisted is what may be there under a name though nothing lists it: a uri at
	// an instance that has resources. nil = nothing may.
	Unlisted func(name string) *policy.Tool
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

// takesArguments tells a tool or prompt from what is read by its uri alone.
func (o *Offered) takesArguments() bool { return o.Kind == KindTool || o.Kind == KindPrompt }

// NewOffer is the offer of the items, which stay in their order.
func NewOffer(items []Offered) Offer {
	sum := sha256.New()
	_ = json.NewEncoder(sum).Encode(items) // of texts and flags it never fails
	return Offer{Version: hex.EncodeToString(sum.Sum(nil)[:8]), Items: items}
}

// Without is the offer without some of it, as if these were not there.
func (o Offer) Without(left func(*policy.Tool) bool) Offer {
	rest := NewOffer(slices.DeleteFunc(slices.Clone(o.Items), func(i Offered) bool { return left(&i.Tool) }))
	rest.Unlisted = func(name string) *policy.Tool {
		if o.Unlisted == nil {
			return nil
		}
		t := o.Unlisted(name)
		if t != nil && left(t) {
			return nil
		}
		return t
	}
	return rest
}

// Find is what has the exposed name or the canonical id, else what may have it
// unlisted; nil when nothing has.
func (o *Offer) Find(name string) *Offered {
	for i := range o.Items {
		if t := &o.Items[i].Tool; t.Name == name || t.ID == name {
			return &o.Items[i]
		}
	}
	if o.Unlisted == nil {
		return nil
	}
	t := o.Unlisted(name)
	if t == nil {
		return nil
	}
	return &Offered{KindResource, *t}
}
