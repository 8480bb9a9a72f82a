package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// shadowFlags set a key's draft policy, or take it away.
type shadowFlags struct {
	draft string
	none  bool
}

func (f *shadowFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.draft, "shadow", "", "a draft `policy` that is decided beside the key's own and only recorded: a JSON object with fields like mcpToolAllowlist, or @FILE; what it leaves out is as in the key's own")
	flags.BoolVar(&f.none, "no-shadow", false, "no draft policy (a new key's default)")
}

// given is what the flags say; absent where they say nothing.
func (f *shadowFlags) given(flags *pflag.FlagSet) (out wire.ShadowField, err error) {
	switch {
	case f.none:
		out.MCPShadow = keys.Null[wire.PolicyFields]()
		return out, nil
	case !flags.Changed("shadow"):
		return out, nil
	}
	out.MCPShadow.Set = true
	// A file's null would take the draft away, which --no-shadow says.
	err = jsonFlag("shadow", f.draft, `{"mcpAllowlistMode": "allow", "mcpToolAllowlist": ["get_*"]}`, &out.MCPShadow.Value)
	return out, err
}

// jsonFlag reads a flag's JSON object, or that of its @FILE.
func jsonFlag(flag, given, like string, into any) (err error) {
	text := []byte(given)
	if name, isFile := strings.CutPrefix(given, "@"); isFile {
		if text, err = os.ReadFile(name); err != nil {
			return &usageError{"--" + flag + ": " + err.Error(), "@ is followed by the name of a file with a JSON object"}
		}
	}
	if err := policy.UnmarshalStrict(text, into); err != nil {
		return &usageError{"--" + flag + ": " + err.Error(), "like: --" + flag + " '" + like + "', or from a file: --" + flag + " @FILE"}
	}
	return nil
}

func (c *cli) keysShadow() *cobra.Command {
	var (
		days  int
		apply bool
		cmd   *cobra.Command
	)
	cmd = c.keyCommand("shadow", "Tell where a key's draft policy would have decided its calls otherwise", func(ctx context.Context, ring keyring, k wire.Key, out *output) error {
		if err := checkDays(cmd, days); err != nil {
			return err
		}
		report, err := ring.Shadow(ctx, k.ID, days)
		if err != nil {
			return err
		}
		switch {
		case out.format == "json" && !apply: // without a draft too
			return out.write(c.out, report, nil, nil)
		case report.Draft == nil:
			return withHint(fmt.Errorf("key %q has no draft policy", k.Handle), "set one: bailiwick keys update "+k.Handle+` --shadow '{"mcpReadOnly": true}'`)
		case !apply:
			return out.write(c.out, nil, nil, shadowRows(k, report, whereFlags(cmd.Flags())))
		}
		edited, err := ring.UpdateSeen(ctx, k.ID, report.KeyVersion, report.Applied())
		if err != nil {
			return err
		}
		return c.writeEdited(edited, out)
	})
	cmd.Long = "Tell where a key's draft policy would have decided its calls otherwise, as the audit\n" +
		"trail has it since the draft was set. The draft is decided beside the key's own policy\n" +
		"and changes nothing; set one with `bailiwick keys update KEY --shadow`. Calls of the\n" +
		"keys below it, and limits, are not looked at. --apply makes the draft the key's policy."
	cmd.Example = "  bailiwick keys shadow note-taker\n  bailiwick keys shadow note-taker --days 7 --apply"
	cmd.Flags().IntVar(&days, "days", keys.UseDays, "how many `days` of calls to look at, up to 365")
	cmd.Flags().BoolVar(&apply, "apply", false, "make the draft the key's policy, unless somebody has changed the key meanwhile")
	variables(cmd.Flags(), "days")
	variables(cmd.Flags(), "apply") // none: what is typed is what is done
	return cmd
}

// shadowTitles say what the decisions of a draft mean for calls, in the order shown.
var shadowTitles = []struct{ decision, mark, title string }{
	{keys.ShadowDeny, "-", "would be denied"},
	{keys.ShadowAllow, "+", "would be allowed, or need no approval"},
	{keys.ShadowApproval, "?", "would need approval"},
	{keys.ShadowError, "!", "not decided, because of an error"},
}

// shadowRows are a report for people: what the draft says otherwise than the key,
// and a line for each tool that it decides otherwise, with the audit events of the
// newest calls. The last line is a command for the key that where says.
func shadowRows(k wire.Key, r wire.ShadowReport, where []string) []row {
	counts := map[string]int{keys.ShadowDeny: r.Denied, keys.ShadowAllow: r.Allowed, keys.ShadowApproval: r.Approvals, keys.ShadowError: r.Errors}
	drafted := k
	drafted.Policy = *r.Draft
	rows := []row{{"the draft says what the key says now"}}
	if changed := changedRows(k, drafted); len(changed) > 0 {
		rows = append([]row{{"FIELD", "NOW", "DRAFT"}}, changed...)
	}
	rows = append(rows, row{fmt.Sprintf("%s: %d recorded calls since %s", k.Handle, r.Calls, when(&r.Since))})
	for _, t := range shadowTitles {
		if counts[t.decision] == 0 && (t.decision == keys.ShadowApproval || t.decision == keys.ShadowError) {
			continue
		}
		rows = append(rows, row{fmt.Sprintf("%s: %d", t.title, counts[t.decision])})
		for _, u := range r.Differences {
			if u.Decision == t.decision {
				rows = append(rows, row{t.mark + " " + u.ID, u.Kind, fmt.Sprintf("%d, last %s", u.Count, when(&u.LastAt)), strings.Join(u.Failed, ", "), exampleOf(u)})
			}
		}
	}
	if r.Truncated {
		rows = append(rows, row{"there is more than is shown"})
	}
	apply := shellWords(append(append([]string{"bailiwick", "keys", "shadow", k.Handle}, where...), "--apply"))
	return append(rows, row{"to apply the draft: " + apply})
}

// exampleOf names the newest call: by the reference that it carried, or else by its
// audit event.
func exampleOf(u wire.ShadowUse) string {
	if len(u.Examples) == 0 {
		return ""
	}
	if ref := u.Examples[0].Ref; ref != nil {
		return "ref " + *ref
	}
	return "event " + u.Examples[0].EventID
}

func (l localKeys) Shadow(ctx context.Context, id string, days int) (wire.ShadowReport, error) {
	r, err := l.svc.Shadow(ctx, l.p, id, days)
	return wire.ShadowReportOf(r), err
}

func (r remoteKeys) Shadow(ctx context.Context, id string, days int) (report wire.ShadowReport, err error) {
	err = r.server.do(ctx, apiRequest{method: http.MethodGet, path: keyPath(id) + "/shadow",
		query: url.Values{"days": {strconv.Itoa(days)}}}, &report)
	return report, err
}
