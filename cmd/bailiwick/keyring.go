package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// keyring is what the keys commands work on: the local store, as its operator,
// or a server, as the key that is given. Its errors are those of keys.Service.
type keyring interface {
	// Keys lists keys, oldest first.
	Keys(ctx context.Context, q keyQuery) (wire.KeyList, error)
	// Find finds by id, or else by handle, which revoked keys have no more.
	Find(ctx context.Context, idOrHandle string) (wire.Key, error)
	Create(ctx context.Context, body wire.CreateKey) (wire.Issued, error)
	Update(ctx context.Context, id string, body wire.UpdateKey) (wire.EditedKey, error)
	// UpdateSeen is Update of the version that was seen; of another it is keys.ErrVersion.
	UpdateSeen(ctx context.Context, id string, version int64, body wire.UpdateKey) (wire.EditedKey, error)
	// DryRun tells what Update would do, looking at so many days of recorded use.
	DryRun(ctx context.Context, id string, body wire.UpdateKey, days int) (wire.Effects, error)
	// Suggest is the tightest policy for what the key was used for in the last days.
	Suggest(ctx context.Context, id string, days int) (wire.Suggestion, error)
	// Shadow is where the key's draft would have decided the calls of the last days
	// otherwise.
	Shadow(ctx context.Context, id string, days int) (wire.ShadowReport, error)
	Rotate(ctx context.Context, id string, body wire.RotateKey) (wire.Issued, error)
	// Revoke answers errOwnKey where it has ended the key that asked, and then
	// only how far that has come.
	Revoke(ctx context.Context, id string, body wire.RevokeKey) (wire.EditedKey, error)
	// Import imports the lines of wire.ParseImport, all or none; faulty ones are
	// in the answer.
	Import(ctx context.Context, lines []byte) (wire.EditedImport, error)
	ProjectID(ctx context.Context, idOrSlug string) (string, error)
	InstanceID(ctx context.Context, idOrSlug string) (string, error)
	// Events is one page of the audit trail, of at most 200 events.
	Events(ctx context.Context, q keys.AuditQuery) (wire.AuditPage, error)
	// Approvals is one page of the calls that wait for a person, or waited.
	Approvals(ctx context.Context, q keys.CallApprovalQuery) (wire.ApprovalPage, error)
	Approval(ctx context.Context, id string) (wire.ShownApproval, error)
	Decide(ctx context.Context, id string, approve bool, body wire.DecideApproval) (wire.ShownApproval, error)

	// Explain is about one tool, Matrix about all, and Difference about all in
	// comparison. None of them changes anything.
	Explain(ctx context.Context, q accessQuery) (wire.Explanation, error)
	Matrix(ctx context.Context, q accessQuery) (wire.Matrix, error)
	Difference(ctx context.Context, q accessQuery) (wire.Difference, error)
	// Decision is the recorded one behind a denial's reference.
	Decision(ctx context.Context, ref string) (wire.Explanation, error)
}

// keyQuery selects keys: by a part of name, handle or prefix, and whether
// revoked ones are among them.
type keyQuery struct {
	search  string
	revoked bool
}

// place says where the keys are, and who asks for them.
type place struct {
	local
	url, key, keyFile string
	selects           bool // --key is no key to ask as: the command has it select
}

func (w *place) flags(cmd *cobra.Command, variable string) {
	w.locate(cmd, variable)
	cmd.Flags().StringVar(&w.key, "key", "", "with --url, the `key` to ask as, - to read it from standard input; lists of processes show flags, so rather use --key-file or $BAILIWICK_KEY")
	variables(cmd.Flags(), "key")
}

// locate adds all flags but --key.
func (w *place) locate(cmd *cobra.Command, variable string) {
	w.local.flags(cmd)
	flags := cmd.Flags()
	flags.Lookup("tenant").Usage += "; with --url only where the credential itself names none"
	flags.StringVar(&w.url, "url", "", "base `URL` of a running server to ask, in place of the local store")
	flags.StringVar(&w.keyFile, "key-file", "", "with --url, the `file` with the key to ask as, in place of $BAILIWICK_KEY")
	// A BAILIWICK_URL is there for stdio: it must not take these commands from
	// the local store to a server.
	variables(flags, "url", variable)
	shared(flags, "key-file")
}

// check refuses flags that would be ignored.
func (w *place) check(flags *pflag.FlagSet) error {
	conflicts, hint := []string{"key-file"}, "give --url too, or leave it out: the local store is its operator's, who needs no key"
	if w.url != "" {
		conflicts, hint = []string{"data", "database-url", "secret-file"}, "--url (or "+flags.Lookup("url").Annotations[envAnnotation][0]+") is a server, the others are a store on this machine: keep one"
	}
	if w.url == "" && !w.selects {
		conflicts = append([]string{"key"}, conflicts...)
	}
	for _, name := range conflicts {
		switch {
		case !typed(flags, name):
		case w.url != "":
			return &usageError{"--url and --" + name + " do not go together", hint}
		default:
			return &usageError{"--" + name + " means nothing without --url", hint}
		}
	}
	if !w.selects && typed(flags, "key") && typed(flags, "key-file") {
		return &usageError{"--key and --key-file do not go together", "keep one of them"}
	}
	return nil
}

// do runs fn on the keys that are meant.
func (w *place) do(ctx context.Context, c *cli, flags *pflag.FlagSet, fn func(keyring) error) error {
	if err := w.check(flags); err != nil {
		return err
	}
	if w.url == "" {
		return w.local.do(ctx, c, func(svc *keys.Service, p keys.Principal) error { return fn(localKeys{svc, p}) })
	}
	base, err := serverURL(w.url)
	if err != nil {
		return err
	}
	token, err := c.actingKey(!w.selects && flags.Changed("key"), w.key, w.keyFile)
	if err != nil {
		return err
	}
	server := newRemote(base, token)
	if flags.Changed("tenant") {
		server.tenant = w.tenant
	}
	return fn(remoteKeys{server})
}

// keyAct is what a command on keys does with its arguments.
type keyAct func(ctx context.Context, ring keyring, args []string) error

// onKeys makes a command that works on the keys of the local store or of a server.
func (c *cli) onKeys(use, short string, args cobra.PositionalArgs, fn func(cmd *cobra.Command, out *output) keyAct) *cobra.Command {
	return c.onRing("BAILIWICK_KEYS_URL", use, short, args, fn)
}

// onRing is onKeys with another variable for --url.
func (c *cli) onRing(variable, use, short string, args cobra.PositionalArgs, fn func(cmd *cobra.Command, out *output) keyAct) *cobra.Command {
	var w place
	flags := func(cmd *cobra.Command) { w.flags(cmd, variable) }
	return command(use, short, args, flags, func(cmd *cobra.Command, out *output) action {
		do := fn(cmd, out)
		if names := argumentNames[argument(use)]; names != nil {
			cmd.ValidArgsFunction = first(w.completing(c, names))
		}
		if cmd.Flags().Lookup("parent") != nil {
			_ = cmd.RegisterFlagCompletionFunc("parent", w.completing(c, keyHandles))
		}
		return func(ctx context.Context, args []string) error {
			return w.do(ctx, c, cmd.Flags(), func(ring keyring) error { return do(ctx, ring, args) })
		}
	})
}

// argumentNames complete an argument, by what a command's use calls it.
var argumentNames = map[string]func(context.Context, localKeys) ([]cobra.Completion, error){"KEY": keyHandles, "ID": waitingCalls}

// argument is what a command's use calls its one argument.
func argument(use string) string {
	_, name, _ := strings.Cut(use, " ")
	return strings.Trim(name, "[]")
}
