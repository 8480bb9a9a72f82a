package wire_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func line(name, more string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf(`{"name": %q, "hash": %q%s}`, name, hex.EncodeToString(sum[:]), more)
}

func TestImportLines(t *testing.T) {
	data := "\n" + line("a", `, "prefix": "sk-a"`) + "\r\n \t\n" + line("b", `, "mcpReadOnly": false, "expiresAt": "2030-01-31T12:00:00Z"`)
	var got []keys.ImportedKey
	answer, err := wire.ParseImport([]byte(data), "cli").Into(func(list []keys.ImportedKey) ([]keys.ImportResult, error) {
		got = list
		return []keys.ImportResult{{Index: 0, Key: keys.Key{ID: "1", Handle: "a"}}, {Index: 1, Key: keys.Key{ID: "2", Handle: "b"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "a" || got[0].Prefix != "sk-a" || got[0].Source != "cli" || got[0].Digest != sha256.Sum256([]byte("a")) ||
		got[1].ExpiresAt == nil || got[1].MCPReadOnly != keys.Some(false) {
		t.Errorf("%+v", got)
	}
	want := wire.ImportAnswer{Imported: 2, Results: []wire.ImportLine{{Line: 2, Status: "imported", ID: some("1"), Handle: some("a")}, {Line: 4, Status: "imported", ID: some("2"), Handle: some("b")}}}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestImportFaults(t *testing.T) {
	refused := func(errs ...error) func([]keys.ImportedKey) ([]keys.ImportResult, error) {
		return func([]keys.ImportedKey) ([]keys.ImportResult, error) {
			e := &keys.ImportError{}
			for i, err := range errs {
				e.Results = append(e.Results, keys.ImportResult{Index: i, Err: err})
			}
			return nil, e
		}
	}
	never := func(list []keys.ImportedKey) ([]keys.ImportResult, error) {
		if len(list) > 0 {
			panic("lines that can't be read were imported")
		}
		return nil, &keys.InvalidError{}
	}
	field := []policy.Problem{{Field: "f", Problem: "p"}}
	tests := []struct {
		name string
		data string
		run  func([]keys.ImportedKey) ([]keys.ImportResult, error)
		want []string // line, status, code, detail, fields
	}{
		{"not JSON", line("a", "") + "\n{", never, []string{"1 not_imported", "2 faulty malformed: is not valid JSON: see byte 1 []"}},
		{"a plaintext", line("a", `, "token": "canary"`), never, []string{"1 faulty malformed: token is not a field [{token is not a field}]"}},
		{"a wrong type", line("a", `, "tags": ["x", 1]`), never, []string{"1 faulty malformed: tags[1] must be a string [{tags[1] must be a string}]"}},
		{"no hash", `{"name": "a"}`, never, []string{"1 faulty invalid: hash: must be a SHA-256: 64 hexadecimal digits, or base64 of 32 bytes [{hash must be a SHA-256: 64 hexadecimal digits, or base64 of 32 bytes}]"}},
		{"two faults", `{"name": "a", "hash": "canary", "expiresAt": "soon"}`, never, []string{"1 faulty invalid: expiresAt: must be a time as in RFC 3339, like 2030-01-31T12:00:00Z (and 1 more) [" +
			"{expiresAt must be a time as in RFC 3339, like 2030-01-31T12:00:00Z} {hash must be a SHA-256: 64 hexadecimal digits, or base64 of 32 bytes}]"}},
		{"of the domain", line("a", "") + "\n\n" + line("b", "") + "\n" + line("c", "") + "\n" + line("d", ""),
			refused(&keys.InvalidError{Fields: field}, keys.ErrNotImported, &keys.ConflictError{Field: "f", Problem: "p"}, &keys.PermissionError{Fields: field}),
			[]string{"1 faulty invalid: f: p [{f p}]", "3 not_imported", "4 faulty conflict: f: p [{f p}]", "5 faulty exceeds_rights: this exceeds your own rights [{f p}]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := wire.ParseImport([]byte(tt.data), "api").Into(tt.run)
			if err != nil || answer.Imported != 0 {
				t.Fatalf("%d imported, %v", answer.Imported, err)
			}
			var got []string
			faulty := 0
			for _, l := range answer.Results {
				text := fmt.Sprintf("%d %s", l.Line, l.Status)
				if l.Error != nil {
					faulty++
					text += fmt.Sprintf(" %s: %s %v", l.Error.Code, l.Error.Detail, l.Error.Errors)
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if answer.Faulty() != faulty || strings.Contains(fmt.Sprint(got), "canary") {
				t.Errorf("%d faulty: %v", answer.Faulty(), got)
			}
		})
	}
}

func TestImportThatFailsAsAWhole(t *testing.T) {
	_, err := wire.ParseImport(nil, "api").Into(func([]keys.ImportedKey) ([]keys.ImportResult, error) { return nil, keys.ErrUnavailable })
	if !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}

// Who may not import is told just that, whatever is wrong with the lines.
func TestImportDenied(t *testing.T) {
	denied := &keys.PermissionError{Needed: "manage:api-keys"}
	for _, data := range []string{"{", line("a", ""), ""} {
		_, err := wire.ParseImport([]byte(data), "api").Into(func([]keys.ImportedKey) ([]keys.ImportResult, error) { return nil, denied })
		if !errors.Is(err, denied) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func some(s string) *string { return &s }

// An import may be 16 MiB, and a line one character: that many faults, each with
// its own answer, would be gigabytes.
func TestImportOfTooManyLines(t *testing.T) {
	asked := 0
	tooMany := &keys.InvalidError{Fields: []policy.Problem{{Field: "keys", Problem: "must have 1 to 10000 entries"}}}
	_, err := wire.ParseImport([]byte(strings.Repeat("x\n", keys.MaxImport+1)), "api").Into(func(list []keys.ImportedKey) ([]keys.ImportResult, error) {
		asked += 1 + len(list)
		return nil, tooMany
	})
	if !errors.Is(err, tooMany) || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	answer, err := wire.ParseImport([]byte(strings.Repeat("x\n", keys.MaxImport)), "api").Into(func([]keys.ImportedKey) ([]keys.ImportResult, error) { return nil, tooMany })
	if err != nil || answer.Faulty() != keys.MaxImport {
		t.Errorf("%d faulty lines, %v", answer.Faulty(), err)
	}
}

func TestImportRepeatsNoToken(t *testing.T) {
	token, err := keys.NewToken(rand.Reader, keys.DefaultTokenPrefix)
	if err != nil {
		t.Fatal(err)
	}
	data := fmt.Sprintf("{%q: 1}", token.Reveal())
	answer, err := wire.ParseImport([]byte(data), "api").Into(func([]keys.ImportedKey) ([]keys.ImportResult, error) { return nil, nil })
	text, _ := json.Marshal(answer)
	if err != nil || answer.Faulty() != 1 || strings.Contains(string(text), token.Reveal()[13:25]) {
		t.Errorf("%s %v", text, err)
	}
}
