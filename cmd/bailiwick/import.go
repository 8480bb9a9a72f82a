package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func (c *cli) importServers() *cobra.Command {
	var (
		l      local
		dryRun bool
	)
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Mount the MCP servers of a client's configuration file", Args: exactly("FILE"),
		Long: "Mount the MCP servers of a file as Claude, Cursor (\"mcpServers\") and VS Code\n" +
			"(\"servers\") have it; - is standard input. Each server becomes an instance or is\n" +
			"reported with the reason why not; one whose slug is there already is left as it is.\n\n" +
			"${VAR} and ${VAR:-default} are expanded from the environment now.",
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := c.readFile(args[0])
			if err != nil {
				return err
			}
			file, err := wire.ParseServers(data, keys.SourceImport, c.env)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return l.do(cmd.Context(), c, func(svc *keys.Service, p keys.Principal) error {
				return c.importAll(cmd.Context(), svc, p, file, dryRun)
			})
		},
	}
	l.flags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "report only, change nothing")
	return cmd
}

func (c *cli) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(name)
}

// importAll tries every server, and fails at the end if one failed.
func (c *cli) importAll(ctx context.Context, svc *keys.Service, p keys.Principal, file wire.ServersFile, dryRun bool) error {
	if len(file.Ignored) > 0 {
		fmt.Fprintf(c.out, "ignored in the file: %s\n", printable(strings.Join(file.Ignored, ", ")))
	}
	failed := 0
	for _, s := range file.Servers {
		done, err := c.importOne(ctx, svc, p, s, dryRun)
		if err != nil {
			failed++
			message, _ := describe(err)
			fmt.Fprintf(c.out, "%s: failed: %s\n", printable(s.Name), message)
			continue
		}
		if len(s.Ignored) > 0 {
			done += " (ignored: " + strings.Join(s.Ignored, ", ") + ")"
		}
		fmt.Fprintf(c.out, "%s: %s\n", printable(s.Name), printable(done))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d servers could not be imported", failed, len(file.Servers))
	}
	return nil
}

func (c *cli) importOne(ctx context.Context, svc *keys.Service, p keys.Principal, s wire.Server, dryRun bool) (string, error) {
	if s.Err != nil {
		return "", s.Err
	}
	slug := s.Spec.Slug.Value
	_, err := svc.Instance(ctx, p, slug)
	switch {
	case err == nil:
		return "already there as " + slug + ", left as it is", nil
	case !errors.Is(err, keys.ErrNotFound):
		return "", err
	case dryRun:
		return "would become " + slug, nil
	}
	spec, err := placed(ctx, svc, p, s)
	if err != nil {
		return "", err
	}
	if _, err := svc.CreateInstance(ctx, p, spec); err != nil {
		return "", err
	}
	return "imported as " + slug, nil
}
