package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// runFlags are the policy around one command.
type runFlags struct {
	name       string
	readOnly   bool
	preset     string
	allow      []string
	deny       []string
	categories []string
	env        []string
	logLevel   string
	arguments  []string
}

func (c *cli) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run [policy flags] -- command [argument...]", Short: "Wrap one stdio MCP server in a policy, without a store",
		Long: "Start an MCP server and serve it on standard input and output, with only the\n" +
			"tools that the policy flags let through. Nothing is stored.\n\n" +
			"Tools are named <name>__<tool>, where the name is --name or comes from the\n" +
			"command. Patterns match the server's own tool name or the whole one.\n" +
			"Prompts and resources count as tools that only read.\n" +
			"What is not limited is open, so at least one policy flag is needed;\n" +
			"--preset full_access limits nothing.",
		Example: "  bailiwick run --read-only --allow 'read_*' -- npx -y @modelcontextprotocol/server-filesystem .",
		Args: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash != 0 || len(args) == 0 {
				return &usageError{"bailiwick run needs a command after --", "like: bailiwick run --read-only -- npx -y some-server"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.runWrapped(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "what the tools' names start with; default from the command")
	flags.BoolVar(&f.readOnly, "read-only", false, "only tools that say they only read")
	flags.StringVar(&f.preset, "preset", "", "read_only, standard or full_access")
	patternFlag(flags, &f.allow, "allow", "only tools that match a `pattern`; repeatable")
	patternFlag(flags, &f.deny, "deny", "no tools that match a `pattern`; repeatable, not with --allow")
	flags.StringSliceVar(&f.categories, "categories", nil, "only tools of these `categories`; a server's own are all \"tools\"")
	patternFlag(flags, &f.arguments, "argument-rule", argumentRuleUsage)
	flags.StringSliceVar(&f.env, "env", nil, "`names` of variables to hand on to the command, beside PATH, HOME and the like")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error, on standard error")
	for _, name := range []string{"name", "read-only", "preset", "allow", "deny", "categories", "argument-rule", "env"} {
		// A policy must not change with a variable meant for another command.
		_ = flags.SetAnnotation(name, envAnnotation, []string{"BAILIWICK_RUN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))})
	}
	return cmd
}

// check names the flag of what could not be a policy. An empty list lets no
// tool through, or limits nothing: neither is worth starting a server for.
func (f *runFlags) check() error {
	for _, flag := range []struct {
		name, noun string
		values     []string
		problem    func(string) error
	}{{"--allow", "pattern", f.allow, patternProblem}, {"--deny", "pattern", f.deny, patternProblem},
		{"--categories", "category", f.categories, categoryProblem}} {
		if flag.values != nil && len(flag.values) == 0 {
			return &usageError{flag.name + " names no " + flag.noun, "name one, or leave the flag out"}
		}
		for _, v := range flag.values {
			if err := flag.problem(v); err != nil {
				return &usageError{fmt.Sprintf("%s: %q: %v", flag.name, v, err), "see bailiwick run --help"}
			}
		}
	}
	return nil
}

func patternProblem(text string) error {
	_, err := policy.ParsePattern(text)
	return err
}

func categoryProblem(name string) error {
	if name = strings.TrimPrefix(name, "mcp:"); name != "*" && !policy.ValidCategory(name) {
		return errors.New("a category is 1 to 32 of a-z, 0-9 and -")
	}
	return nil
}

func (f *runFlags) policy() (keys.PolicyPatch, error) {
	if err := f.check(); err != nil {
		return keys.PolicyPatch{}, err
	}
	if !f.readOnly && f.preset == "" && len(f.allow)+len(f.deny)+len(f.categories)+len(f.arguments) == 0 {
		return keys.PolicyPatch{}, &usageError{"bailiwick run needs a policy", "say --read-only, --allow, --deny, --categories, --argument-rule or --preset; --preset full_access limits nothing"}
	}
	p := keys.PolicyPatch{MCPReadOnly: keys.Some(f.readOnly), MCPPreset: keys.Some(policy.PresetFullAccess)}
	switch f.preset {
	case "":
	case policy.PresetReadOnly, policy.PresetStandard, policy.PresetFullAccess:
		p.MCPPreset = keys.Some(f.preset)
	default:
		return p, &usageError{"--preset must be read_only, standard or full_access", "see bailiwick run --help"}
	}
	switch {
	case len(f.allow) > 0 && len(f.deny) > 0:
		return p, &usageError{"--allow and --deny do not go together", "keep one of them"}
	case len(f.allow) > 0:
		p.MCPAllowlistMode, p.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some(f.allow)
	case len(f.deny) > 0:
		p.MCPAllowlistMode, p.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some(f.deny)
	}
	if f.arguments != nil {
		rules, err := argumentRules(f.arguments)
		if err != nil {
			return p, err
		}
		p.MCPArgumentRules = keys.Some(rules)
	}
	if len(f.categories) > 0 {
		p.MCPPermissions = keys.Some(policy.Only(categories(f.categories)...))
	}
	return p, nil
}

// categories writes category names as the wire has them.
func categories(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "mcp:" + strings.TrimPrefix(n, "mcp:")
	}
	return out
}

// slug is --name, or comes from the command: its file name, or what npx, node
// and other runners run.
func (f *runFlags) slug(command []string) string {
	if f.name != "" {
		return keys.InstanceSlug(f.name)
	}
	name := strings.TrimSuffix(filepath.Base(command[0]), filepath.Ext(command[0]))
	switch name {
	case "npx", "uvx", "bunx", "pnpx", "pipx", "node", "python", "python3", "deno", "bun":
		name = runnee(command[1:], name)
	}
	return keys.InstanceSlug(name)
}

// runnee is what a runner runs: its first argument that is no flag, as a
// package or file name without scope, version and extension.
func runnee(args []string, otherwise string) string {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			continue
		}
		base := filepath.Base(arg)
		if at := strings.LastIndex(base, "@"); at > 0 {
			base = base[:at]
		}
		return strings.TrimSuffix(base, filepath.Ext(base))
	}
	return otherwise
}

func (c *cli) runWrapped(ctx context.Context, f runFlags, command []string) (err error) {
	limits, err := f.policy()
	if err != nil {
		return err
	}
	env, err := c.environment(f.env)
	if err != nil {
		return err
	}
	log, err := newLogger(c.errs, f.logLevel)
	if err != nil {
		return err
	}
	if err := checkCommand(command[0]); err != nil {
		return err
	}
	database, err := db.Open(ctx, db.Config{Path: ":memory:"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	root, err := keys.NewRootSecret(randomness)
	if err != nil {
		return err
	}
	svc, err := keys.New(ctx, keys.Config{Store: trailless{database}, Root: root})
	if err != nil {
		return err
	}
	slug := f.slug(command)
	token, id, err := wrap(ctx, svc, slug, command, env, limits)
	if err != nil {
		return err
	}
	return c.serveKey(ctx, svc, token, auditSample{}, log, func(g *mcp.Gateway) {
		// Said whatever the log level: without it, a server that can't start
		// looks like one that has no tools.
		if state, problem := g.InstanceStatus(id); state == "down" {
			fmt.Fprintf(c.errs, "error: %s is down: %s\n", slug, oneLine(problem))
		}
	})
}

// checkCommand finds what could never be started, before anything is served.
func checkCommand(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		message := fmt.Errorf("command %q was not found", name)
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			message = fmt.Errorf("command %q can't be started: %w", name, err)
		}
		return withHint(message, "see that it is installed and in PATH, or write its path")
	}
	return nil
}

// wrap mounts the command in a store that has nothing else, and makes the one
// key, which holds no permission beside its policy.
func wrap(ctx context.Context, svc *keys.Service, slug string, command []string, env map[string]string, limits keys.PolicyPatch) (token keys.Secret, instance string, err error) {
	if _, err := svc.Bootstrap(ctx); err != nil {
		return "", "", err
	}
	operator, err := svc.Operator(ctx, defaultTenant)
	if err != nil {
		return "", "", err
	}
	one, err := svc.CreateInstance(ctx, operator, keys.InstanceSpec{
		Slug: keys.Some(slug), Transport: keys.Some(keys.TransportStdio),
		Command: keys.Some(command[0]), Args: keys.Some(append([]string{}, command[1:]...)),
		Env:          keys.Some(env),
		WriteEnabled: keys.Some(true), TrustAnnotations: keys.Some(true), Source: keys.SourceRun,
	})
	if err != nil {
		return "", "", err
	}
	issued, err := svc.CreateKey(ctx, operator, keys.NewKey{
		Name: "run", Scope: keys.Some(policy.ScopeMCPOnly), Permissions: keys.Some([]string{}),
		PolicyPatch: limits, Source: "cli",
	})
	return issued.Secret, one.ID, err
}

// environment copies the variables that --env names. The command gets no others
// but PATH, HOME and the like, for what wraps it may hold secrets of its own.
func (c *cli) environment(names []string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range names {
		value, set := c.env(name)
		if !set {
			return nil, &usageError{fmt.Sprintf("--env names %q, which is not set", name), "set it, or leave it out; a value is never written after --env"}
		}
		out[name] = value
	}
	return out, nil
}
