package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// accessTable writes what is explained, with a mark on each line.
type accessTable struct {
	to    io.Writer
	out   *output
	marks map[bool]string
	paint bool
}

var (
	plainMarks = map[bool]string{true: "ok", false: "FAILS"}
	signMarks  = map[bool]string{true: "✓", false: "✗"}
)

// access has signs where the output is a terminal that shows them, and colours
// them unless NO_COLOR is set (no-color.org).
func (c *cli) access(out *output) accessTable {
	t := accessTable{to: c.out, out: out, marks: plainMarks}
	if f, ok := c.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && c.inUTF8() {
		noColor, _ := c.env("NO_COLOR")
		t.marks, t.paint = signMarks, noColor == ""
	}
	return t
}

// inUTF8 tells whether the locale has the characters; the first variable that is
// set decides (POSIX, section 8.2).
func (c *cli) inUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value, _ := c.env(name); value != "" {
			value = strings.ToLower(value)
			return strings.Contains(value, "utf-8") || strings.Contains(value, "utf8")
		}
	}
	return false
}

func (t accessTable) explanation(e wire.Explanation) error {
	rows := make([]row, 0, len(e.Rules)+1)
	for _, r := range e.Rules {
		rows = append(rows, row{t.marks[r.OK], r.Rule, observedText(r)})
	}
	return t.write(e, row{e.Decision}, append(rows, basisRow(e.Basis, orNone(e.CatalogVersion))))
}

// observedText has the pattern that decided behind what was observed, unless that
// says it already.
func observedText(r wire.RuleResult) string {
	pattern := orNone(r.Pattern)
	if pattern == "" || strings.Contains(r.Observed, strconv.Quote(pattern)) {
		return r.Observed
	}
	return strings.TrimSpace(r.Observed + " " + pattern)
}

func (t accessTable) matrix(m wire.Matrix) error {
	rows := make([]row, 0, len(m.Tools)+2)
	for _, v := range m.Tools {
		rows = append(rows, offeredRow(t.marks[v.Reason == nil], v.Offered, v.Failed))
	}
	rows = append(rows, row{fmt.Sprintf("%d allowed, %d denied", m.Summary.Allowed, m.Summary.Denied)}, basisRow(m.Basis, m.CatalogVersion))
	return t.write(m, offeredHeader, rows)
}

// difference says of the rules that fail on which side: of what is gained they are
// those of the key that it is held against.
func (t accessTable) difference(d wire.Difference) error {
	var rows []row
	add := func(mark, side string, o wire.Offered, failed []string) {
		r := offeredRow(mark, o, failed)
		r[len(r)-1] = side + ": " + r[len(r)-1]
		rows = append(rows, r)
	}
	for _, g := range d.Gained {
		add("+", "from", g.Offered, g.Failed)
	}
	for _, l := range d.Lost {
		add("-", "to", l.Offered, l.Failed)
	}
	from, to := basisRow(d.From.Basis, d.CatalogVersion), basisRow(d.To.Basis, d.CatalogVersion)
	rows = append(rows, row{fmt.Sprintf("%d gained, %d lost, %d the same", len(d.Gained), len(d.Lost), d.Same)},
		row{"from " + from[0]}, row{"to " + to[0]})
	header := offeredHeader
	if len(d.Gained)+len(d.Lost) == 0 {
		header = nil
	}
	return t.write(d, header, rows)
}

var offeredHeader = row{"", "KIND", "NAME", "CATEGORY", "EFFECT", "FAILS"}

func offeredRow(mark string, o wire.Offered, failed []string) row {
	return row{mark, o.Kind, o.Name, o.Category, o.Effect.String(), orDash(strings.Join(failed, ", "))}
}

// basisRow is what was decided on, as a line.
func basisRow(b wire.Basis, catalog string) row {
	parts := []string{"no key that is saved"}
	if b.KeyID != nil && b.KeyVersion != nil {
		parts = []string{fmt.Sprintf("key %s version %d", *b.KeyID, *b.KeyVersion)}
	}
	parts = append(parts, fmt.Sprintf("edit %d", b.Epoch))
	if catalog != "" {
		parts = append(parts, "catalog "+catalog)
	}
	return row{strings.Join(append(parts, b.At.UTC().Format(time.RFC3339)), ", ")}
}

// leading are marks at the start of a line, where no name can be.
var leading = regexp.MustCompile(`(?m)^(✓|✗|\+|-) `)

func (t accessTable) write(v any, header row, rows []row) error {
	if !t.paint || t.out.format == "json" {
		return t.out.write(t.to, v, header, rows)
	}
	var table bytes.Buffer
	if err := t.out.write(&table, v, header, rows); err != nil {
		return err
	}
	colours := map[string]string{"✓": "32", "+": "32", "✗": "31", "-": "31"}
	_, err := t.to.Write(leading.ReplaceAllFunc(table.Bytes(), func(mark []byte) []byte {
		text := strings.TrimSuffix(string(mark), " ")
		return []byte("\x1b[" + colours[text] + "m" + text + "\x1b[0m ")
	}))
	return err
}
