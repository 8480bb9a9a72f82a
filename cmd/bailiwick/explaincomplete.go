package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// completing completes with names of the local store, and with none where there
// is no store to be read, or a server is asked.
func (f *explainFlags) completing(c *cli, names func(context.Context, localKeys) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		if err := c.bindEnv(cmd); err != nil || f.url != "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		// What can't be read completes to nothing: a shell has no place for errors.
		_ = f.local.do(cmd.Context(), c, func(svc *keys.Service, p keys.Principal) (err error) {
			found, err = names(cmd.Context(), localKeys{svc, p})
			return err
		})
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func keyHandles(ctx context.Context, l localKeys) ([]string, error) {
	list, err := l.Keys(ctx, keyQuery{})
	handles := make([]string, len(list.Keys))
	for i, k := range list.Keys {
		handles[i] = printable(k.Handle)
	}
	return handles, err
}

func toolsOnOffer(ctx context.Context, l localKeys) ([]string, error) {
	offer, err := l.offer(ctx)
	names := make([]string, len(offer.Items))
	for i, item := range offer.Items {
		names[i] = printable(item.Tool.Name)
	}
	return names, err
}
