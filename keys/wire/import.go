package wire

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// MaxImport bounds the lines of an import, in bytes: 10,000 long ones.
const MaxImport = 16 << 20

// ImportKey is one line of an import: a key whose token another system has
// given out, and only knows by its hash.
type ImportKey struct {
	CreateKey
	Hash   keys.Opt[string] `json:"hash,omitzero" doc:"SHA-256 of the token: 64 hexadecimal digits, or base64." minLength:"43" maxLength:"64" example:"15076594e5f396d0d847e98fbc7b49ae3908673ea22e1257fbc92293ddae8209" required:"true"`
	Prefix keys.Opt[string] `json:"prefix,omitzero" doc:"Shown in place of the token's start." maxLength:"24" example:"old_live_aB3x"`
}

// ImportedKey is the domain's request; source is the door it came through. The
// error is a *keys.InvalidError.
func (i ImportKey) ImportedKey(source string) (keys.ImportedKey, error) {
	var faults []policy.Problem
	n, err := i.NewKey(source)
	digest, hashErr := keys.ParseDigest(i.Hash.Value)
	for _, err := range []error{err, hashErr} {
		var invalid *keys.InvalidError
		if errors.As(err, &invalid) {
			faults = append(faults, invalid.Fields...)
		} else if err != nil {
			return keys.ImportedKey{}, err
		}
	}
	if faults != nil {
		return keys.ImportedKey{}, &keys.InvalidError{Fields: faults}
	}
	return keys.ImportedKey{NewKey: n, Digest: digest, Prefix: i.Prefix.Value}, nil
}

// Import is an import as read: JSON Lines, each an ImportKey. Empty lines are
// none, but count.
type Import struct {
	Keys   []keys.ImportedKey
	lines  []int        // of Keys
	faulty []ImportLine // could not be read
}

// ParseImport reads all lines, whatever is wrong with some; of more than
// keys.MaxImport it keeps none, so that Into refuses them as a whole.
func ParseImport(data []byte, source string) (in Import) {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if len(in.Keys)+len(in.faulty) == keys.MaxImport {
			return Import{}
		}
		var body ImportKey
		err := policy.UnmarshalStrict(text, &body)
		if err == nil {
			var k keys.ImportedKey
			if k, err = body.ImportedKey(source); err == nil {
				in.Keys, in.lines = append(in.Keys, k), append(in.lines, line)
				continue
			}
		}
		in.faulty = append(in.faulty, ImportLine{Line: line, Status: ImportFaulty, Error: importFault(err)})
	}
	return in
}

// Into imports the keys with importKeys, which is (*keys.Service).ImportKeys of
// a principal. Faulty lines are an answer, in which nothing was imported, and
// no error; lines that could be read are not asked of where others could not.
func (in Import) Into(importKeys func([]keys.ImportedKey) ([]keys.ImportResult, error)) (ImportAnswer, error) {
	if len(in.faulty) > 0 {
		// Who may not import at all is told just that.
		var invalid *keys.InvalidError
		if _, err := importKeys(nil); err != nil && !errors.As(err, &invalid) {
			return ImportAnswer{}, err
		}
		all := in.faulty
		for _, line := range in.lines {
			all = append(all, ImportLine{Line: line, Status: ImportNotImported})
		}
		return importAnswer(all), nil
	}
	results, err := importKeys(in.Keys)
	var faulty *keys.ImportError
	if errors.As(err, &faulty) {
		results, err = faulty.Results, nil
	}
	if err != nil {
		return ImportAnswer{}, err
	}
	all := make([]ImportLine, len(results))
	for i, r := range results {
		all[i] = ImportLine{Line: in.lines[r.Index], Status: ImportDone, ID: optional(r.Key.ID), Handle: optional(r.Key.Handle)}
		switch {
		case errors.Is(r.Err, keys.ErrNotImported):
			all[i].Status = ImportNotImported
		case r.Err != nil:
			all[i].Status, all[i].Error = ImportFaulty, importFault(r.Err)
		}
	}
	return importAnswer(all), nil
}

// What became of a line.
const (
	ImportDone        = "imported"
	ImportFaulty      = "faulty"
	ImportNotImported = "not_imported" // in order, beside faulty ones
)

// ImportAnswer is what became of an import: all lines imported, or none.
type ImportAnswer struct {
	Results  []ImportLine `json:"results" doc:"What became of each line, in order."`
	Imported int          `json:"imported" doc:"How many were imported: all, or none." minimum:"0" example:"1"`
}

// Faulty counts the lines that are.
func (a ImportAnswer) Faulty() (n int) {
	for _, l := range a.Results {
		if l.Status == ImportFaulty {
			n++
		}
	}
	return n
}

// ImportLine is what became of a line, which are counted from 1.
type ImportLine struct {
	Line   int          `json:"line" doc:"Its number, from 1." minimum:"1" example:"1"`
	Status string       `json:"status" doc:"What became of it; not_imported is in order, and stands beside faulty ones." enum:"imported,faulty,not_imported" example:"imported"`
	ID     *string      `json:"id" doc:"The new key's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Handle *string      `json:"handle" doc:"The new key's handle." example:"support-agent"`
	Error  *ImportFault `json:"error" doc:"What is wrong with it."`
}

// ImportProblem answers an import of which nothing was written.
type ImportProblem struct {
	Problem
	ImportAnswer
}

// ImportFault is what is wrong with a line, as a Problem says it.
type ImportFault struct {
	Code   string           `json:"code" doc:"What a program looks at." enum:"malformed,invalid,conflict,exceeds_rights" example:"invalid"`
	Detail string           `json:"detail" doc:"What is wrong, in words." example:"name: must not be empty"`
	Errors []policy.Problem `json:"errors" doc:"What is wrong with single fields."`
}

func importAnswer(lines []ImportLine) ImportAnswer {
	slices.SortFunc(lines, func(a, b ImportLine) int { return a.Line - b.Line })
	out := ImportAnswer{Results: list(lines)}
	for _, l := range lines {
		if l.Status == ImportDone {
			out.Imported++
		}
	}
	return out
}

func importFault(err error) *ImportFault {
	var (
		syntax   *policy.SyntaxError
		invalid  *keys.InvalidError
		conflict *keys.ConflictError
		denied   *keys.PermissionError
	)
	f := &ImportFault{Code: "invalid", Detail: err.Error(), Errors: []policy.Problem{}}
	switch {
	case errors.As(err, &syntax):
		field := FieldOf(syntax.Pointer)
		f.Code, f.Detail = "malformed", strings.TrimSpace(field+" "+syntax.Problem)
		if field != "" {
			f.Errors = []policy.Problem{{Field: field, Problem: syntax.Problem}}
		}
	case errors.As(err, &invalid):
		f.Errors = list(invalid.Fields)
	case errors.As(err, &conflict):
		f.Code = "conflict"
		if conflict.Field != "" {
			f.Errors = []policy.Problem{{Field: conflict.Field, Problem: conflict.Problem}}
		}
	case errors.As(err, &denied):
		f.Code, f.Detail, f.Errors = "exceeds_rights", "this exceeds your own rights", list(denied.Fields)
	}
	return f
}

// FieldOf writes a JSON pointer as the other errors name fields: /tags/1 is tags[1].
func FieldOf(pointer string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch _, err := strconv.Atoi(part); {
		case err == nil && b.Len() > 0:
			part = "[" + part + "]"
		case b.Len() > 0:
			part = "." + part
		}
		b.WriteString(part)
	}
	return keys.WithoutToken(b.String())
}
