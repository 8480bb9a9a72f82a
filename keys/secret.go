package keys

import (
	"fmt"

	"go.uber.org/zap/zapcore"
)

const redacted = "[redacted]"

// Secret is a text that redacts itself wherever it is printed or encoded;
// Reveal is the only way to it.
type Secret string

// Reveal is the plaintext.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string   { return redacted }
func (s Secret) GoString() string { return redacted }

// Format redacts for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText redacts in JSON and elsewhere.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalLogObject redacts in zap.
func (s Secret) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("secret", redacted)
	return nil
}
