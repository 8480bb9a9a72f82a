package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/db"
)

func (c *cli) migrate() *cobra.Command {
	var (
		f     storeFlags
		out   output
		check bool
	)
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database schema up to date", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			if check {
				schema, err := db.SchemaOf(cmd.Context(), f.place().Database())
				if err != nil {
					return err
				}
				if err := out.write(c.out, map[string]any{"version": schema.Current, "latest": schema.Latest}, nil,
					[]row{{fmt.Sprintf("schema version %d, this program has %d", schema.Current, schema.Latest)}}); err != nil {
					return err
				}
				return schema.Check()
			}
			before, err := db.Migrate(cmd.Context(), f.place().Database())
			if err != nil {
				return err
			}
			text := fmt.Sprintf("schema version %d, was %d", before.Latest, before.Current)
			if before.Current == before.Latest {
				text = fmt.Sprintf("schema version %d: nothing to do", before.Latest)
			}
			return out.write(c.out, map[string]any{"version": before.Latest, "latest": before.Latest, "was": before.Current}, nil, []row{{text}})
		},
	}
	f.flags(cmd)
	out.flag(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "only say whether the schema is up to date; exit 1 if not")
	return cmd
}
