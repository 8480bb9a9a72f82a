package policy

// UnmarshalStrict decodes one JSON value and nothing after it. It refuses
// unknown, duplicate and case-variant object keys at any depth of v's type,
// and null where v has no place for it. The error is a *SyntaxError.
func UnmarshalStrict(data []byte, v any) error { return nil }

// SyntaxError says where (a JSON pointer, "" for the whole) and what is wrong;
// its text never quotes a value.
type SyntaxError struct {
	Pointer string
	Problem string
}

func (e *SyntaxError) Error() string {
	if e.Pointer == "" {
		return e.Problem
	}
	return e.Pointer + ": " + e.Problem
}

// Parse reads a policy's JSON form: an absent field takes its default, null
// resets to it (for the nullable lists null is the value).
func Parse(data []byte) (Policy, error) { return Default(), nil }

// Validate lists what is wrong with a policy as written: unknown preset (not
// built in and not among presets), mode, permission, pattern, too many patterns.
// Ids are the store's to check.
func (p Policy) Validate(presets map[string]Preset) []Problem { return nil }
