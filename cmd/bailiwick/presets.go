package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) presets() *cobra.Command {
	return group("presets", "Make and manage the tenant's own presets",
		c.presetsList(),
		c.presetWriter("create", "Make a preset", func(ctx context.Context, svc *keys.Service, p keys.Principal, n keys.NewPreset) (keys.Preset, error) {
			return svc.CreatePreset(ctx, p, n)
		}),
		c.presetWriter("update", "Replace a preset", func(ctx context.Context, svc *keys.Service, p keys.Principal, n keys.NewPreset) (keys.Preset, error) {
			one, err := svc.UpdatePreset(ctx, p, n, 0)
			return one, absent(err, "preset", n.Name)
		}),
		c.deleter("preset", "Delete a preset that no key uses", deletePreset))
}

func (c *cli) presetsList() *cobra.Command {
	return c.onStore("list", "List the tenant's own presets", exactly(), func(_ *cobra.Command, out *output) act {
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, _ []string) error {
			all, err := svc.Presets(ctx, p)
			if err != nil {
				return err
			}
			rows := make([]row, len(all))
			for i, one := range all {
				rows[i] = presetRow(one)
			}
			return out.write(c.out, wire.PresetListOf(all, len(all)), row{"NAME", "CATEGORIES", "MAX EFFECT"}, rows)
		}
	})
}

func presetRow(p keys.Preset) row {
	return row{p.Name, orDash(strings.Join(p.Permissions, ", ")), p.MaxEffect.String()}
}

func (c *cli) presetWriter(verb, short string, write func(context.Context, *keys.Service, keys.Principal, keys.NewPreset) (keys.Preset, error)) *cobra.Command {
	return c.onStore(verb+" PRESET", short, exactly("PRESET"), func(cmd *cobra.Command, out *output) act {
		var (
			names  []string
			effect string
		)
		cmd.Flags().StringSliceVar(&names, "categories", nil, "`categories` it opens, * for all; empty = none")
		cmd.Flags().StringVar(&effect, "max-effect", "", "read, write or destructive (required)")
		return func(ctx context.Context, svc *keys.Service, p keys.Principal, args []string) error {
			body := wire.WritePreset{Name: keys.Some(args[0]), Permissions: keys.Some(categories(names)), MaxEffect: keys.Some(effect)}
			n, err := body.NewPreset()
			if err != nil {
				return err
			}
			one, err := write(ctx, svc, p, n)
			if err != nil {
				return err
			}
			return out.write(c.out, wire.PresetOf(one), row{"NAME", "CATEGORIES", "MAX EFFECT"}, []row{presetRow(one)})
		}
	})
}

func deletePreset(svc *keys.Service, ctx context.Context, p keys.Principal, name string) error {
	return svc.DeletePreset(ctx, p, name)
}
