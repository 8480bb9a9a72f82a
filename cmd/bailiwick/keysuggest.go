package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func (c *cli) keysSuggest() *cobra.Command {
	var (
		days  int
		apply bool
		cmd   *cobra.Command
	)
	cmd = c.keyCommand("suggest", "Suggest the tightest policy that would have allowed what a key was used for", func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		if err := checkDays(cmd, days); err != nil {
			return err
		}
		s, err := ring.Suggest(ctx, k.ID, days)
		if err != nil {
			return err
		}
		if !apply {
			return c.writeSuggestion(k, s, out, cmd.Flags())
		}
		if err := c.writeUse(s, out); err != nil {
			return err
		}
		edited, err := ring.UpdateSeen(ctx, k.ID, s.KeyVersion, wire.UpdateKey{PolicyFields: s.Update.Fields()})
		if err != nil {
			return err
		}
		c.warnOf(edited.Propagation)
		changed := changedRows(k, edited.Key)
		if len(changed) == 0 && out.format != "json" {
			return c.nothingToChange()
		}
		return out.write(c.out, edited, row{"FIELD", "WAS", "IS"}, changed)
	})
	cmd.Long = "Suggest the tightest policy that would have allowed what a key was used for, as the\n" +
		"audit trail has it: the calls of the key and of the keys below it. KEY is an id or a\n" +
		"handle. Nothing changes without --apply; without it, the last line is the command that\n" +
		"does the same. What is not in the trail is not known: read the notes first."
	cmd.Example = "  bailiwick keys suggest note-taker\n  bailiwick keys suggest note-taker --days 90 --apply"
	cmd.Flags().IntVar(&days, "days", keys.UseDays, "of how many `days` the use is counted, up to 365")
	cmd.Flags().BoolVar(&apply, "apply", false, "change the key so, unless somebody has changed it meanwhile")
	return cmd
}

// checkDays holds a period of recorded use to what there is a report of.
func checkDays(cmd *cobra.Command, days int) error {
	if days < 1 || days > keys.MaxUseDays {
		return &usageError{fmt.Sprintf("--days must be from 1 to %d", keys.MaxUseDays), "see " + cmd.CommandPath() + " --help"}
	}
	return nil
}

// writeSuggestion shows what was used, what to know, and the command to run.
func (c *cli) writeSuggestion(k wire.Key, s wire.Suggestion, out *output, flags *pflag.FlagSet) error {
	if out.format == "json" {
		return out.write(c.out, s, nil, nil)
	}
	if err := c.writeUse(s, out); err != nil {
		return err
	}
	update := suggestedFlags(s.Update)
	if len(update) == 0 {
		return c.nothingToChange()
	}
	line := shellWords(append(append([]string{"bailiwick", "keys", "update", k.Handle}, whereFlags(flags)...), update...))
	if printable(line) != line {
		line = "A pattern can't be shown: run this again with --apply, or with -o json."
	}
	_, err := fmt.Fprintln(c.out, line)
	return err
}

func (c *cli) nothingToChange() error {
	_, err := fmt.Fprintln(c.out, "There is nothing to change.")
	return err
}

// writeUse shows to people what was used and what to know.
func (c *cli) writeUse(s wire.Suggestion, out *output) error {
	if out.format == "json" {
		return nil
	}
	fmt.Fprintf(c.out, "uses %d of %d tools (since %s)\n", s.Used, s.Allowed, when(&s.Since))
	if len(s.UsedTools) > 0 {
		rows := make([]row, len(s.UsedTools))
		for i, t := range s.UsedTools {
			rows[i] = row{t.ID, t.Kind, strconv.Itoa(t.Count), when(&t.LastAt)}
		}
		if err := out.write(c.out, nil, row{"TOOL", "KIND", "COUNT", "LAST USED"}, rows); err != nil {
			return err
		}
	}
	for _, note := range s.Notes {
		fmt.Fprintln(c.out, "note:", printable(note))
	}
	return nil
}

// whereFlags are those of the command line that say where the key is, and hold
// no secret.
func whereFlags(flags *pflag.FlagSet) (out []string) {
	for _, name := range []string{"data", "secret-file", "url", "key-file", "tenant"} {
		if typed(flags, name) {
			out = append(out, "--"+name, flags.Lookup(name).Value.String())
		}
	}
	return out
}

// suggestedFlags are the flags of keys update that say the same.
func suggestedFlags(u wire.SuggestedUpdate) (out []string) {
	if u.MCPReadOnly != nil {
		out = append(out, "--read-only="+strconv.FormatBool(*u.MCPReadOnly))
	}
	if u.MCPPreset != nil {
		out = append(out, "--preset="+*u.MCPPreset)
	}
	if u.MCPToolAllowlist != nil {
		if len(*u.MCPToolAllowlist) == 0 {
			out = append(out, "--allow=")
		}
		for _, pattern := range *u.MCPToolAllowlist {
			out = append(out, "--allow="+pattern)
		}
	}
	limit := func(flag string, l *policy.Limit, prefix string) {
		if l != nil {
			var values []string
			for _, v := range l.Values() {
				values = append(values, strings.TrimPrefix(v, prefix))
			}
			out = append(out, "--"+flag+"="+strings.Join(values, ","))
		}
	}
	limit("categories", u.MCPPermissions, "mcp:")
	limit("projects", u.MCPProjectIDs, "")
	limit("instances", u.MCPInstanceIDs, "")
	return out
}

// shellWords is a command line that a POSIX shell reads as these words.
func shellWords(words []string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@+%", r)
	}
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; w == "" || strings.ContainsFunc(w, func(r rune) bool { return !plain(r) }) {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// changedRows are the lines of a key's record that differ, also those that only
// one of the two has; lines of one name are one.
func changedRows(was, is wire.Key) (out []row) {
	before, after, names := map[string]string{}, map[string]string{}, []string{}
	gather := func(k wire.Key, texts map[string]string) {
		for _, r := range keyRecord(k) {
			if texts[r[0]] != "" {
				texts[r[0]] += "; "
			}
			texts[r[0]] += r[1]
			if !slices.Contains(names, r[0]) {
				names = append(names, r[0])
			}
		}
	}
	gather(is, after)
	gather(was, before)
	for _, name := range names {
		if before[name] != after[name] {
			out = append(out, row{name, orDash(before[name]), orDash(after[name])})
		}
	}
	return out
}

// Suggest knows what is on offer from what the instances have announced last.
func (l localKeys) Suggest(ctx context.Context, id string, days int) (wire.Suggestion, error) {
	offer, err := l.offer(ctx)
	if err != nil {
		return wire.Suggestion{}, err
	}
	s, err := l.svc.Suggest(ctx, l.p, id, offer, days)
	return wire.SuggestionOf(s), err
}

func (r remoteKeys) Suggest(ctx context.Context, id string, days int) (s wire.Suggestion, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: keyPath(id) + "/suggestion",
		query: url.Values{"days": {strconv.Itoa(days)}}}, &s)
	return s, err
}
