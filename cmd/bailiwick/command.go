package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// act is what a command on the local store does with its arguments.
type act func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error

// onStore makes a command that works on the local store as the operator and
// answers as a table or JSON.
func (c *cli) onStore(use, short string, args cobra.PositionalArgs, fn func(cmd *cobra.Command, out *output) act) *cobra.Command {
	var l local
	return command(use, short, args, l.flags, func(cmd *cobra.Command, out *output) action {
		do := fn(cmd, out)
		return func(ctx context.Context, args []string) error {
			return l.do(ctx, c, func(svc *keys.Service, p keys.Principal) error { return do(ctx, svc, p, args) })
		}
	})
}

// onPlatform is onStore as the operator in no tenant.
func (c *cli) onPlatform(use, short string, args cobra.PositionalArgs, fn func(cmd *cobra.Command, out *output) act) *cobra.Command {
	var f storeFlags
	return command(use, short, args, f.flags, func(cmd *cobra.Command, out *output) action {
		do := fn(cmd, out)
		return func(ctx context.Context, args []string) error {
			return f.with(ctx, c, func(svc *keys.Service) error { return do(ctx, svc, svc.PlatformOperator(), args) })
		}
	})
}

// action is what a command does with its arguments, once its flags are read.
type action func(ctx context.Context, args []string) error

func command(use, short string, args cobra.PositionalArgs, flags func(*cobra.Command), fn func(cmd *cobra.Command, out *output) action) *cobra.Command {
	var out output
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	flags(cmd)
	out.flag(cmd)
	do := fn(cmd, &out)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		return flagFaults(cmd, do(cmd.Context(), args))
	}
	return cmd
}

// deleter is a command that deletes one thing and says so.
func (c *cli) deleter(noun string, short string, del func(svc *keys.Service, ctx context.Context, p keys.Principal, name string) error) *cobra.Command {
	arg := map[string]string{"project": "PROJECT", "instance": "INSTANCE", "preset": "PRESET"}[noun]
	return c.onStore("delete "+arg, short, exactly(arg), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			if err := del(svc, ctx, p, args[0]); err != nil {
				return absent(err, noun, args[0])
			}
			return out.write(c.out, map[string]string{"message": noun + " deleted"}, nil, []row{{noun + " " + args[0] + " deleted"}})
		}
	})
}
