package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// showChanges writes, of each tool, how it differs from what was approved.
func showChanges(w io.Writer, tools []wire.Tool, instance string) error {
	if len(tools) == 0 {
		_, err := fmt.Fprintf(w, "no tool of %s waits for approval\n", printable(instance))
		return err
	}
	for _, t := range tools {
		if _, err := io.WriteString(w, visible(toolDiff(t))); err != nil {
			return err
		}
	}
	return nil
}

// toolDiff is a unified diff of the members that an approval is about.
func toolDiff(t wire.Tool) string {
	before := "approved " + t.Name
	switch {
	case t.ApprovedDigest == "":
		before = "nothing: " + t.Name + " is new"
	case len(t.Approved) == 0:
		before = "the approved " + t.Name + " was too large to be kept"
	}
	text := string(diff.Diff(before, reviewed(t.Approved), "announced "+t.Name, reviewed(t.Definition)))
	if _, rest, ok := strings.Cut(text, "\n"); ok { // "diff" and both names, which the next lines have
		return rest
	}
	return text
}

func reviewed(definition json.RawMessage) []byte {
	text := mcp.Reviewed(definition)
	if len(text) > 0 {
		text = append(text, '\n')
	}
	return text
}

// visible writes what a terminal would obey or not show as JSON escapes: what
// is approved must be what is read.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
