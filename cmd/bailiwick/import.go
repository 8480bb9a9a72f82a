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
		out    output
		dryRun bool
	)
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Mount the MCP servers of a client's configuration file", Args: exactly("FILE"),
		Long: "Mount the MCP servers of a file as Claude, Cursor (\"mcpServers\") and VS Code\n" +
			"(\"servers\") have it; - is standard input. Each server becomes an instance or is\n" +
			"reported with the reason why not; one whose slug is there already is left as it is.\n\n" +
			"${VAR} and ${VAR:-default} are expanded from the environment now.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			data, err := c.readFile(args[0])
			if err != nil {
				return err
			}
			file, err := wire.ParseServers(data, keys.SourceImport, c.env)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return l.do(cmd.Context(), c, func(svc *keys.Service, p keys.Principal) error {
				return c.importAll(cmd.Context(), svc, p, file, dryRun, &out)
			})
		},
	}
	l.flags(cmd)
	out.flag(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "report only, change nothing")
	return cmd
}

func (c *cli) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.in)
	}
	return os.ReadFile(name)
}

// importReport is what came of a file, in JSON; one of result and error is there.
type importReport struct {
	Ignored []string         `json:"ignored"`
	Servers []importedServer `json:"servers"`
}

type importedServer struct {
	Name    string   `json:"name"`
	Result  string   `json:"result,omitempty"`
	Error   string   `json:"error,omitempty"`
	Ignored []string `json:"ignored,omitempty"`
}

// importAll tries every server, and fails at the end if one failed.
func (c *cli) importAll(ctx context.Context, svc *keys.Service, p keys.Principal, file wire.ServersFile, dryRun bool, out *output) error {
	var rows []row
	if len(file.Ignored) > 0 {
		rows = append(rows, row{"ignored in the file: " + strings.Join(file.Ignored, ", ")})
	}
	report := importReport{Ignored: append([]string{}, file.Ignored...), Servers: []importedServer{}}
	failed := 0
	for _, s := range file.Servers {
		done, err := c.importOne(ctx, svc, p, s, dryRun)
		if err != nil {
			failed++
			message, _ := describe(err)
			rows = append(rows, row{s.Name + ": failed: " + message})
			report.Servers = append(report.Servers, importedServer{Name: s.Name, Error: message})
			continue
		}
		report.Servers = append(report.Servers, importedServer{Name: s.Name, Result: done, Ignored: s.Ignored})
		if len(s.Ignored) > 0 {
			done += " (ignored: " + strings.Join(s.Ignored, ", ") + ")"
		}
		rows = append(rows, row{s.Name + ": " + done})
	}
	if err := out.write(c.out, report, nil, rows); err != nil {
		return err
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
