package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) instances() *cobra.Command {
	return group("instances", "Mount and manage MCP servers",
		c.instancesList(), c.instancesGet(), c.instancesCreate(), c.instancesUpdate(),
		c.instancesTools(), c.instancesDiff(), c.instancesApprove(),
		c.deleter("instance", "Unmount a server", deleteInstance))
}

func (c *cli) instancesList() *cobra.Command {
	return c.onStore("list", "List the tenant's instances", exactly(), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			all, err := svc.Instances(ctx, p)
			if err != nil {
				return err
			}
			list := wire.InstanceList{Instances: make([]wire.Instance, len(all)), Total: len(all)}
			rows := make([]row, len(all))
			for i, one := range all {
				list.Instances[i] = wire.InstanceOf(one)
				rows[i] = row{one.Slug, string(one.Transport), target(one), yesNo(one.Enabled), yesNo(one.WriteEnabled), one.Source, one.ID}
			}
			return out.write(c.out, list, row{"SLUG", "TRANSPORT", "TARGET", "ENABLED", "WRITES", "SOURCE", "ID"}, rows)
		}
	})
}

// target is where an instance is, in one cell.
func target(i keys.Instance) string {
	if i.Transport != keys.TransportStdio {
		return i.URL
	}
	return strings.Join(append([]string{i.Command}, i.Args...), " ")
}

func (c *cli) writeInstance(out *output, i keys.Instance) error {
	rows := []row{{"id", i.ID}, {"slug", i.Slug}, {"project", i.ProjectID}, {"transport", string(i.Transport)}, {"target", target(i)},
		{"credentials", yesNo(len(i.Sealed) > 0)}, {"enabled", yesNo(i.Enabled)}, {"writes", yesNo(i.WriteEnabled)},
		{"trusted", yesNo(i.TrustAnnotations)}, {"new tools wait", yesNo(i.QuarantineNew)}, {"source", i.Source}, {"created", when(&i.CreatedAt)}, {"version", fmt.Sprint(i.Version)}}
	for _, r := range i.Tools {
		effect := ""
		if r.Effect != 0 {
			effect = r.Effect.String()
		}
		if r.ProjectPointer != "" {
			effect += " project=" + r.ProjectPointer
		}
		rows = append(rows, row{"rule", strings.Join(strings.Fields(r.Match+" "+r.Category+" "+effect), " ")})
	}
	return out.write(c.out, wire.InstanceOf(i), nil, rows)
}

func (c *cli) instancesGet() *cobra.Command {
	return c.onStore("get INSTANCE", "Show an instance, by id or slug", exactly("INSTANCE"), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			one, err := svc.Instance(ctx, p, args[0])
			if err != nil {
				return absent(err, "instance", args[0])
			}
			return c.writeInstance(out, one)
		}
	})
}

// instanceFlags are the fields of an instance that flags can write. Secrets are
// named, never written: their values come from this command's environment.
type instanceFlags struct {
	slug, project, transport, command, url string
	args, env, headers                     []string
	enabled, writeEnabled, trust           bool
	quarantineNew                          bool
}

func (f *instanceFlags) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.slug, "slug", "", "unique `slug`, which the tools' names start with")
	flags.StringVar(&f.project, "project", "", "`project` that it is in, by id or slug")
	flags.StringVar(&f.transport, "transport", "", "stdio, http or sse; default from --command or --url")
	flags.StringVar(&f.command, "command", "", "`command` to start (stdio)")
	flags.StringArrayVar(&f.args, "arg", nil, "`argument` of the command; repeatable")
	flags.StringVar(&f.url, "url", "", "`URL` of the server (http, sse)")
	flags.StringArrayVar(&f.env, "env", nil, "`NAME` or NAME=${VAR} for the command's environment; repeatable")
	flags.StringArrayVar(&f.headers, "header", nil, "`header` to send, like 'Authorization=Bearer ${VAR}'; repeatable, ${VAR} keeps the value out of the process list")
	flags.BoolVar(&f.enabled, "enabled", true, "offer its tools")
	flags.BoolVar(&f.writeEnabled, "write-enabled", false, "let keys use its tools that write")
	flags.BoolVar(&f.trust, "trust-annotations", false, "believe what its tools say of themselves")
	flags.BoolVar(&f.quarantineNew, "quarantine-new", false, "let tools that it adds later wait for approval, as those that it changes do")
}

func (f *instanceFlags) spec(ctx context.Context, c *cli, flags *pflag.FlagSet, svc *keys.Service, p keys.Principal) (spec keys.InstanceSpec, err error) {
	spec = keys.InstanceSpec{
		Slug: given(flags, "slug", f.slug), Command: given(flags, "command", f.command), Args: given(flags, "arg", f.args),
		URL: given(flags, "url", f.url), Enabled: given(flags, "enabled", f.enabled),
		WriteEnabled: given(flags, "write-enabled", f.writeEnabled), TrustAnnotations: given(flags, "trust-annotations", f.trust),
		QuarantineNew: given(flags, "quarantine-new", f.quarantineNew),
		Transport:     given(flags, "transport", keys.Transport(f.transport)), Source: keys.SourceCLI,
	}
	if spec.Env, err = c.secrets(flags, "env", f.env); err != nil {
		return spec, err
	}
	if spec.Headers, err = c.secrets(flags, "header", f.headers); err != nil {
		return spec, err
	}
	if flags.Changed("project") {
		project, err := svc.Project(ctx, p, f.project)
		if err != nil {
			return spec, absent(err, "project", f.project)
		}
		spec.ProjectID = keys.Some(project.ID)
	}
	return spec, nil
}

// secrets reads NAME=value entries, with ${VAR} from the environment; NAME
// alone is NAME=${NAME}.
func (c *cli) secrets(flags *pflag.FlagSet, flag string, entries []string) (keys.Opt[map[string]string], error) {
	if !flags.Changed(flag) {
		return keys.Opt[map[string]string]{}, nil
	}
	out := map[string]string{}
	for _, entry := range entries {
		name, text, ok := strings.Cut(entry, "=")
		if !ok {
			text = "${" + name + "}"
		}
		value, err := wire.Expand(text, c.env)
		if err != nil {
			return keys.Opt[map[string]string]{}, &usageError{fmt.Sprintf("--%s %s: %s", flag, name, err), "write NAME, or NAME=${VAR}"}
		}
		out[name] = value
	}
	return keys.Some(out), nil
}

func (c *cli) instancesCreate() *cobra.Command {
	return c.onStore("create", "Mount a server", exactly(), func(cmd *cobra.Command, out *output) act {
		var f instanceFlags
		f.flags(cmd.Flags())
		cmd.Example = "  bailiwick instances create --slug files --command npx --arg -y --arg @modelcontextprotocol/server-filesystem --arg /srv"
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			if f.slug != "" && f.command == "" && f.url == "" {
				return &usageError{"--command or --url is missing", "see " + cmd.CommandPath() + " --help"}
			}
			spec, err := f.spec(ctx, c, cmd.Flags(), svc, p)
			if err != nil {
				return err
			}
			if !spec.Transport.Set {
				spec.Transport = keys.Some(keys.TransportStdio)
				if f.url != "" {
					spec.Transport = keys.Some(keys.TransportHTTP)
				}
			}
			one, err := svc.CreateInstance(ctx, p, spec)
			if err != nil {
				return err
			}
			c.tellClosed(one)
			return c.writeInstance(out, one)
		}
	})
}

// tellClosed says of an instance that no key can call anything of, why, and what
// to do; a new one is so unless flags say otherwise.
func (c *cli) tellClosed(i keys.Instance) {
	if !i.WriteEnabled && !i.TrustAnnotations && len(i.Tools) == 0 {
		fmt.Fprintln(c.errs, "Its tools can't be called yet: they count as destructive, and it may not write. To believe\n"+
			"what they say of themselves, and to let them write, as far as you trust it:\n"+
			"  bailiwick instances update "+i.Slug+" --trust-annotations --write-enabled")
	}
}

func (c *cli) instancesUpdate() *cobra.Command {
	return c.onStore("update INSTANCE", "Change an instance; what no flag names stays as it is", exactly("INSTANCE"), func(cmd *cobra.Command, out *output) act {
		var f instanceFlags
		f.flags(cmd.Flags())
		cmd.Flags().Lookup("enabled").DefValue = "false" // shows no default: unchanged
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			if err := changes(cmd); err != nil {
				return err
			}
			spec, err := f.spec(ctx, c, cmd.Flags(), svc, p)
			if err != nil {
				return err
			}
			one, err := svc.UpdateInstance(ctx, p, args[0], spec)
			if err != nil {
				return absent(err, "instance", args[0])
			}
			return c.writeInstance(out, one)
		}
	})
}

func deleteInstance(svc *keys.Service, ctx context.Context, p keys.Principal, name string) error {
	return svc.DeleteInstance(ctx, p, name)
}
