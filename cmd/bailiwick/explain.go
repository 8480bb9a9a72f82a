package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) explain() *cobra.Command {
	var (
		f   explainFlags
		out output
	)
	cmd := &cobra.Command{Use: "explain [KEY [TOOL]]", Short: "Tell why a key may or may not call a tool", Args: fromTo(0, 2, "")}
	cmd.Long = "Tell why a key may or may not call a tool, rule by rule, or without TOOL, which of\n" +
		"all tools it may call. KEY is an id or a handle, TOOL is <instance>__<name> or\n" +
		"<instance>/<name>; of a prompt, resource or template in the same way, with the uri\n" +
		"for the name. The server's own tools go by their names alone.\n\n" +
		"Asking changes nothing, and asks no upstream. It works on the store of this machine\n" +
		"(--data, --database-url), as its operator, or with --url on a running server, as\n" +
		"the key that is given with BAILIWICK_KEY or --key-file; it needs view:audit."
	cmd.Example = "  bailiwick explain note-taker notes__delete_note\n" +
		"  bailiwick explain --key note-taker --tool docs/file:///handbook.md\n" +
		"  bailiwick explain note-taker notes__read_note --at +24h\n" +
		"  bailiwick explain note-taker notes__read_note --arguments '{\"title\": \"team-plan\"}'\n" +
		"  bailiwick explain note-taker\n" +
		"  bailiwick explain --ref k3v7q2m5w4xa6bzc\n" +
		"  bailiwick explain note-taker --diff support-agent\n" +
		"  bailiwick explain note-taker --diff-version 17\n" +
		"  echo '{\"mcpReadOnly\": false}' | bailiwick explain note-taker notes__delete_note --policy -"
	f.flags(c, cmd)
	out.flag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		q, err := f.query(c, args)
		if err != nil {
			return err
		}
		err = flagFaults(cmd, f.do(cmd.Context(), c, cmd.Flags(), func(ring keyring) error {
			return c.explained(cmd.Context(), &out, ring, f.ref, q)
		}))
		if errors.Is(err, keys.ErrNotFound) && f.policy != "" && f.key == "" && len(args) == 1 {
			return withHint(err, "the first argument is a key; for a tool of --policy without any, say --tool "+printable(args[0]))
		}
		return err
	}
	return cmd
}

// explained asks what is asked for and writes the answer.
func (c *cli) explained(ctx context.Context, out *output, ring keyring, ref string, q accessQuery) error {
	t := c.access(out)
	switch {
	case ref != "":
		e, err := ring.Decision(ctx, ref)
		if errors.Is(err, keys.ErrNotFound) {
			return withHint(fmt.Errorf("reference %q: %w", ref, err),
				"it is the 16 characters behind ref in the denial, kept within a second of it; bailiwick audit list --decision deny shows those that are kept")
		}
		if err != nil {
			return err
		}
		return t.explanation(e)
	case q.compares():
		d, err := ring.Difference(ctx, q)
		if err != nil {
			return err
		}
		return t.difference(d)
	case !q.body.Tool.Set:
		m, err := ring.Matrix(ctx, q)
		if err != nil {
			return err
		}
		return t.matrix(m)
	}
	e, err := ring.Explain(ctx, q)
	if err != nil {
		return err
	}
	if err := t.explanation(e); err != nil || !slices.Contains(e.Failed, "tool.unknown") {
		return err
	}
	return c.hintAtTools(ctx, ring, q)
}

// hintAtTools says what there is in place of a tool that is unknown.
func (c *cli) hintAtTools(ctx context.Context, ring keyring, q accessQuery) error {
	name := q.body.Tool.Value
	q.body.Tool = keys.Opt[string]{}
	m, err := ring.Matrix(ctx, q)
	if err != nil {
		return err
	}
	hint := "bailiwick explain without a tool lists what is on offer"
	if near := nearest(name, m.Tools); near != "" {
		hint = "did you mean " + printable(near) + "?"
	}
	_, err = fmt.Fprintf(c.errs, "hint: nothing on offer has the name %q: %s\n", printable(name), hint)
	return err
}

// nearest is the name or id that was most likely meant; "" = none.
func nearest(name string, tools []wire.ToolVerdict) string {
	best, found := len(name)/3+1, "" // so many characters may differ
	for _, t := range tools {
		for _, known := range []string{t.Name, t.ID} {
			if _, upstream, _ := strings.Cut(t.ID, "/"); upstream == name {
				return t.Name
			}
			if d := distance(name, known); d < best || d == best && found == "" {
				best, found = d, known
			}
		}
	}
	return found
}

// distance is how many characters are to be put in, left out or replaced
// (Levenshtein).
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, other := range to {
			change := diagonal
			if r != other {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, change)
		}
	}
	return row[len(to)]
}
