package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// maxPolicyFile bounds what is read of a policy, in bytes.
const maxPolicyFile = 1 << 20

// explainFlags say what is to be explained.
type explainFlags struct {
	place
	tool, at, ref, policy string
	arguments             string
	diff, diffVersion     string
	all                   bool
}

// accessQuery asks what a key may do, or could: body says of which key, draft,
// tool and time.
type accessQuery struct {
	body          wire.ExplainPolicy
	version, from int64  // of the key; 0 = as it stands, and no comparison
	against       string // another key, by id or handle; "" = no comparison
}

func (q accessQuery) compares() bool { return q.from != 0 || q.against != "" }

func (f *explainFlags) flags(c *cli, cmd *cobra.Command) {
	f.selects = true
	f.locate(cmd, "BAILIWICK_EXPLAIN_URL")
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "the `key` that is asked about, by id or handle; with --url, the key to ask as comes from $BAILIWICK_KEY or --key-file")
	flags.StringVar(&f.tool, "tool", "", "the `tool`, prompt, resource or template; without it, all of them")
	flags.StringVar(&f.arguments, "arguments", "", "with a tool, the `json` object with the arguments of a call, or @FILE: they are judged too")
	flags.StringVar(&f.at, "at", "", "as of this `time`, as in RFC 3339, or so long from now: +24h, -90m; it matters to a key that expires")
	flags.StringVar(&f.ref, "ref", "", "the recorded decision behind this `reference` of a denial")
	flags.BoolVar(&f.all, "all", false, "all tools, which is so without a tool anyway")
	flags.StringVar(&f.diff, "diff", "", "what is different for this `other` key, by id or handle")
	flags.StringVar(&f.diffVersion, "diff-version", "", "what has changed since this `version` of the key, or between two of them, as in 17:42")
	flags.StringVar(&f.policy, "policy", "", "`file` with MCP fields in JSON, - for standard input, that are not saved: laid over the key, or over a new key where none is named")
	for _, name := range []string{"key", "tool", "arguments", "at", "ref", "all", "diff", "diff-version", "policy"} {
		variables(flags, name, "BAILIWICK_EXPLAIN_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	}
	keyNames, toolNames := f.completing(c, keyHandles), f.completing(c, toolsOnOffer)
	for name, complete := range map[string]cobra.CompletionFunc{"key": keyNames, "diff": keyNames, "tool": toolNames} {
		_ = cmd.RegisterFlagCompletionFunc(name, complete)
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0 && f.key == "":
			return keyNames(cmd, args, part)
		case len(args) < 2:
			return toolNames(cmd, args, part)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// query reads the flags and the arguments; with --key, the first one is the tool.
func (f *explainFlags) query(c *cli, args []string) (q accessQuery, err error) {
	key, tool := f.key, f.tool
	for _, to := range []*string{&key, &tool} {
		if len(args) > 0 && *to == "" {
			*to, args = args[0], args[1:]
		}
	}
	if err := f.together(key, tool, len(args)); err != nil || f.ref != "" {
		return q, err
	}
	if keys.WithoutToken(key) != key || key == "-" {
		return q, &usageError{"the key that is asked about goes by its id or handle", "the key to ask as comes from BAILIWICK_KEY or --key-file"}
	}
	if key != "" {
		q.body.Key = keys.Some(key)
	}
	if tool != "" {
		q.body.Tool = keys.Some(tool)
	}
	if f.arguments != "" {
		q.body.Arguments.Set = true
		if err := jsonFlag("arguments", f.arguments, `{"title": "team-plan"}`, &q.body.Arguments.Value); err != nil {
			return q, err
		}
	}
	if q.body.At, err = instant(f.at, time.Now()); err != nil {
		return q, err
	}
	q.against = f.diff
	if f.diffVersion != "" {
		if q.from, q.version, err = versions(f.diffVersion); err != nil {
			return q, err
		}
	}
	if f.policy != "" {
		q.body.Policy, err = c.policyFile(f.policy)
	}
	return q, err
}

// together refuses what would be ignored, and too little.
func (f *explainFlags) together(key, tool string, more int) error {
	const hint = "see bailiwick explain --help"
	compares := f.diff != "" || f.diffVersion != ""
	switch {
	case more > 0:
		return &usageError{"bailiwick explain takes one key and one tool", hint}
	case f.ref != "" && (key != "" || tool != "" || f.at != "" || f.all || f.arguments != "" || f.policy != "" || compares):
		return &usageError{"--ref is a decision that was made: it goes with no key, tool or other question", "leave the rest out"}
	case f.ref != "":
		return nil
	case key == "" && f.policy == "":
		return &usageError{"whose access is to be explained?", "name a key, as in bailiwick explain KEY TOOL, or give --policy or --ref; bailiwick keys list shows the keys"}
	case tool == "" && f.arguments != "":
		return &usageError{"--arguments are those of a call of one tool", "name the tool, as in bailiwick explain KEY TOOL --arguments '{}'"}
	case tool != "" && (f.all || compares):
		return &usageError{"a tool does not go with --all, --diff or --diff-version, which are about all tools", "leave the tool out, or the flag"}
	case f.diff != "" && f.diffVersion != "":
		return &usageError{"--diff and --diff-version do not go together", "keep one of them"}
	case f.policy != "" && compares:
		return &usageError{"--policy goes with neither --diff nor --diff-version", "keep one of them"}
	}
	return nil
}

// instant reads a time, or how far from now it is.
func instant(text string, now time.Time) (keys.Opt[string], error) {
	if text == "" {
		return keys.Opt[string]{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && (text[0] == '+' || text[0] == '-') {
		return keys.Some(now.Add(d).UTC().Format(time.RFC3339Nano)), nil
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return keys.Opt[string]{}, &usageError{"--at must be a time like 2026-01-31T12:00:00Z, or how far from now: +24h, -90m", "see bailiwick explain --help"}
	}
	return keys.Some(text), nil
}

// versions reads N, which is compared with the present, or N:M.
func versions(text string) (from, to int64, err error) {
	first, second, both := strings.Cut(text, ":")
	from, err = strconv.ParseInt(first, 10, 64)
	if err == nil && both {
		to, err = strconv.ParseInt(second, 10, 64)
	}
	if err != nil || from < 1 || both && to < 1 {
		return 0, 0, &usageError{"--diff-version must be a version of the key, as in 17, or two of them, as in 17:42", "bailiwick keys get shows the version that it has now"}
	}
	return from, to, nil
}

// policyFile reads the MCP fields of a policy, as the REST API takes them.
func (c *cli) policyFile(path string) (fields keys.Opt[wire.PolicyFields], err error) {
	in := c.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return fields, fmt.Errorf("reading the policy: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPolicyFile))
	if err != nil {
		return fields, fmt.Errorf("reading the policy: %w", err)
	}
	var read wire.PolicyFields
	if err := policy.UnmarshalStrict(data, &read); err != nil {
		return fields, withHint(fmt.Errorf("reading the policy: %w", err), `it takes the MCP fields of a key, as in {"mcpReadOnly": false, "mcpPreset": "standard"}`)
	}
	return keys.Some(read), nil
}
