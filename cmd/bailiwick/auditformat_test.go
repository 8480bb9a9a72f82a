package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// hostile is an event whose texts a client chose.
func hostile(text string) wire.AuditEvent {
	detail, _ := json.Marshal(map[string]string{"a": text})
	return wire.AuditEvent{ID: "1", Kind: "call", Tool: &text, Client: &text, Detail: detail}
}

const steering = "\x1b]0;x\x07\u009b31m\u202egnp\U000e0001\x7f\nx"

// No text of an event steers a terminal, in any format, and JSON says the same.
func TestEventsDoNotSteerTheTerminal(t *testing.T) {
	e := hostile(steering)
	for name, make := range eventWriters {
		var b strings.Builder
		w := make(&b)
		if err := errors.Join(w.write(e), w.end()); err != nil {
			t.Fatal(err)
		}
		check := func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' }
		if b.Len() == 0 || strings.ContainsFunc(b.String(), check) {
			t.Errorf("%s: %q", name, b.String())
		}
		if name == "ndjson" {
			var back wire.AuditEvent
			if err := json.Unmarshal([]byte(b.String()), &back); err != nil || strings.Count(b.String(), "\n") != 1 || !reflect.DeepEqual(back.Tool, e.Tool) {
				t.Errorf("%v: %q", err, *back.Tool)
			}
		}
	}
	for _, format := range []string{"json", "table"} {
		var b strings.Builder
		c := &cli{out: &b}
		o := &output{format}
		if err := errors.Join(o.write(&b, e, auditHeader, []row{auditRow(e)}), c.auditLines(o)([]wire.AuditEvent{e})); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\a\u009b\u202e\x7f\U000e0001") || !strings.Contains(b.String(), "gnp") {
			t.Errorf("%s: %q", format, b.String())
		}
	}
}

// A detail is a cell of JSON, without the line end that its encoder leaves.
func TestCSVDetail(t *testing.T) {
	e := hostile("x")
	e.Detail = append(e.Detail, '\n')
	var b strings.Builder
	w := eventWriters["csv"](&b)
	if err := errors.Join(w.write(e), w.end()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := rows[1][slices.Index(rows[0], "detail")]; got != `{"a":"x"}` {
		t.Errorf("the detail is %q", got)
	}
}

// The first row is the names of an event's JSON, and no cell is a formula.
func TestCSV(t *testing.T) {
	var b strings.Builder
	w := eventWriters["csv"](&b)
	texts := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "\x00=1", `a",=b`, "plain", "a=b"}
	for _, text := range texts {
		if err := w.write(hostile(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != len(texts)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	var names map[string]any
	data, _ := json.Marshal(wire.AuditEvent{})
	if err := json.Unmarshal(data, &names); err != nil || len(names) != len(rows[0]) {
		t.Errorf("%d columns of %d fields", len(rows[0]), len(names))
	}
	tool := -1
	for i, name := range rows[0] {
		if _, ok := names[name]; !ok {
			t.Errorf("no field has the column's name %q", name)
		}
		if name == "tool" {
			tool = i
		}
	}
	for i, text := range texts {
		got := rows[i+1][tool]
		if harmless := i >= 9; strings.HasPrefix(got, "'") == harmless {
			t.Errorf("%q is written as %q", text, got)
		}
	}
}

// A file that could not be written as a whole is not there, nor is a part of it.
func TestWriteWhole(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "x")
	broken := errors.New("broken")
	err := writeWhole(path, false, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	})
	left, _ := os.ReadDir(folder)
	if !errors.Is(err, broken) || len(left) != 0 {
		t.Errorf("%v, left %v", err, left)
	}
	whole := func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }
	if err := errors.Join(writeWhole(path, false, whole), writeWhole(path, true, whole)); err != nil {
		t.Error(err)
	}
	err = writeWhole(filepath.Join(folder, "y"), false, func(io.Writer) error {
		return os.WriteFile(filepath.Join(folder, "y"), []byte("theirs"), 0o600) // meanwhile
	})
	if text, _ := os.ReadFile(filepath.Join(folder, "y")); err == nil || string(text) != "theirs" {
		t.Errorf("%v: another's file is %q", err, text)
	}
}
