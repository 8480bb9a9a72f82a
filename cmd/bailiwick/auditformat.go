package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// eventWriter writes events in one format.
type eventWriter interface {
	write(wire.AuditEvent) error
	end() error
}

var eventWriters = map[string]func(io.Writer) eventWriter{
	"ndjson": func(w io.Writer) eventWriter { return &lineWriter{bufio.NewWriter(w)} },
	"csv":    func(w io.Writer) eventWriter { return &csvWriter{csv.NewWriter(w), false} },
}

type lineWriter struct{ *bufio.Writer }

func (w *lineWriter) write(e wire.AuditEvent) error { return writeLine(w, e) }
func (w *lineWriter) end() error                    { return w.Flush() }

// writeLine writes a value as JSON in one line, as the REST API has it.
func writeLine(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, printableJSON(b.String()))
	return err
}

// printableJSON is the same JSON without characters that steer a terminal: those
// above ASCII, and DEL, stand in it as they are.
func printableJSON(text string) string {
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !steers(r) {
			b.WriteRune(r)
			continue
		}
		if r > 0xffff { // as a pair of surrogates (RFC 8259, section 7)
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x`, 0xd800+r>>10)
			r = 0xdc00 + r&0x3ff
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String()
}

func steers(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }

// csvWriter has a column for each field of an event.
type csvWriter struct {
	*csv.Writer
	begun bool
}

func (w *csvWriter) header() error {
	if w.begun {
		return nil
	}
	w.begun = true
	var names []string
	for f := range fieldsOf(reflect.TypeFor[wire.AuditEvent]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return w.Write(names)
}

func (w *csvWriter) write(e wire.AuditEvent) error {
	if err := w.header(); err != nil {
		return err
	}
	v := reflect.ValueOf(e)
	var cells []string
	for f := range fieldsOf(v.Type()) {
		cells = append(cells, csvCell(v.FieldByIndex(f.Index)))
	}
	return w.Write(cells)
}

func (w *csvWriter) end() error {
	if err := w.header(); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && f.Tag.Get("json") != "-" && !yield(f) {
				return
			}
		}
	}
}

// csvCell is a field's text: null is empty, a list has spaces between, other
// structure is JSON.
func csvCell(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch one := v.Interface().(type) {
	case string:
		return plainCell(one)
	case time.Time:
		return one.UTC().Format(time.RFC3339Nano)
	case []string:
		return plainCell(strings.Join(one, " "))
	case json.RawMessage:
		text := strings.TrimSpace(string(one)) // an encoder ends it with a line end, which would be replaced
		if text == "null" {
			return ""
		}
		return plainCell(text)
	}
	return fmt.Sprint(v.Interface())
}

// plainCell keeps a text that others chose from being run by a spreadsheet, as
// OWASP's page on CSV injection says: a formula begins with one of these,
// narrow or wide, and white space before it may be cut off.
func plainCell(text string) string {
	text = printable(text)
	begin := strings.TrimLeftFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '\uFFFD' })
	if r, size := utf8.DecodeRuneInString(begin); size > 0 && strings.ContainsRune("=+-@＝＋－＠", r) {
		return "'" + text
	}
	return text
}

// replaceable refuses a file that is there, and what is no file at all.
func replaceable(path string, force bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return withHint(fmt.Errorf("%s is no plain file", path), "name another one, or leave --output out for standard output")
	case !force:
		return withHint(fmt.Errorf("%s is there already", path), "name another one, or replace it with --force")
	}
	return nil
}
