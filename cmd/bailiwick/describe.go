package main

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
	"github.com/bailiwick-mcp/bailiwick/store"
)

// usageError is a command line that can't be understood: exit code 2.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

// hintedError says what to do next.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

func withHint(err error, hint string) error { return &hintedError{err, hint} }

// describe is the one table from errors to what a person reads.
func describe(err error) (message, hint string) {
	var (
		usage   *usageError
		hinted  *hintedError
		invalid *keys.InvalidError
		syntax  *policy.SyntaxError
		denied  *keys.PermissionError
		open    *store.OpenSecretError
	)
	message = oneLine(err.Error())
	switch {
	case errors.As(err, &usage):
		return message, usage.hint
	case errors.As(err, &hinted):
		return message, hinted.hint
	case errors.Is(err, store.ErrNoStore):
		return message, "start bailiwick serve once to make one, or name the right folder with --data"
	case errors.Is(err, store.ErrUnused):
		return message, "start bailiwick serve once, which prepares it"
	case errors.Is(err, store.ErrSecretMissing):
		return message, "give it with BAILIWICK_SECRET or --secret-file: another server on this store has it, or a backup; without it no key of this store can be checked"
	case errors.As(err, &open):
		return message, "chmod 600 " + open.Path + "; if somebody else has read it, its keys and credentials are theirs too"
	case errors.Is(err, db.ErrNotMigrated):
		return message, "run bailiwick migrate with the same --database-url, or start with --migrate"
	case errors.Is(err, db.ErrNewerSchema):
		return message, "use the version of bailiwick that migrated it, or a newer one"
	case errors.Is(err, keys.ErrWrongSecret):
		return message, "give the right one with BAILIWICK_SECRET or --secret-file, or restore the file root.secret of the data folder from a backup"
	case errors.Is(err, keys.ErrUnavailable):
		return message, "see that the database runs and that --data or --database-url names it"
	case errors.As(err, &invalid):
		return oneLine(strings.Replace(message, invalid.Error(), allFaults(invalid), 1)), ""
	case errors.As(err, &syntax):
		return message, ""
	case errors.As(err, &denied):
		return message, denied.Hint
	case errors.Is(err, fs.ErrPermission):
		return message, "see who owns the file or folder, and its mode"
	}
	return message, ""
}

func allFaults(e *keys.InvalidError) string {
	faults := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		faults[i] = f.Field + ": " + f.Problem
	}
	if len(faults) == 0 {
		return e.Error()
	}
	return strings.Join(faults, "; ")
}

func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return printable(strings.Join(lines, "; "))
}
