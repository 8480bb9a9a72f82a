package wire

import "encoding/json"

// Shadow is what a key's draft policy would have had become of a call, in the
// detail of the call's audit entry: only where that differs from what became of it.
type Shadow struct {
	Decision string   `json:"decision"`         // deny, allow, approval, error
	Failed   []string `json:"failed,omitempty"` // the draft's failing rules, in order
}

// WithShadow adds to the detail of a call's audit entry how its draft differs.
func WithShadow(detail json.RawMessage, s Shadow) json.RawMessage {
	text, _ := json.Marshal(s) // texts
	out := append([]byte(`{"shadow":`), text...)
	if len(detail) == 0 {
		return append(out, '}')
	}
	return append(append(out, ','), detail[1:]...)
}
