package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// completing completes with names of the local store, and with none where there
// is no store to be read, or a server is asked.
func (w *place) completing(c *cli, names func(context.Context, localKeys) ([]cobra.Completion, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		if err := c.bindEnv(cmd); err != nil || w.url != "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		// What can't be read completes to nothing: a shell has no place for errors.
		_ = w.local.do(cmd.Context(), c, func(svc *keys.Service, p keys.Principal) (err error) {
			found, err = names(cmd.Context(), localKeys{svc, p})
			return err
		})
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// first completes the first argument of a command, and no other.
func first(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, part string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, part)
	}
}

func keyHandles(ctx context.Context, l localKeys) ([]cobra.Completion, error) {
	list, err := l.Keys(ctx, keyQuery{})
	handles := make([]cobra.Completion, len(list.Keys))
	for i, k := range list.Keys {
		handles[i] = printable(k.Handle)
	}
	return handles, err
}

func toolsOnOffer(ctx context.Context, l localKeys) ([]cobra.Completion, error) {
	offer, err := l.offer(ctx)
	names := make([]cobra.Completion, len(offer.Items))
	for i, item := range offer.Items {
		names[i] = printable(item.Tool.Name)
	}
	return names, err
}

// waitingCalls are the ids of the calls that wait for a person, and what they are.
func waitingCalls(ctx context.Context, l localKeys) ([]cobra.Completion, error) {
	page, err := l.Approvals(ctx, keys.CallApprovalQuery{Status: keys.ApprovalPending, Limit: keys.DefaultApprovalLimit})
	ids := make([]cobra.Completion, len(page.Approvals))
	for i, a := range page.Approvals {
		ids[i] = cobra.CompletionWithDesc(a.ID, printable(a.Tool+" for "+approvalCaller(a)))
	}
	return ids, err
}
