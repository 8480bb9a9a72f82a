package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bailiwick-mcp/bailiwick/db"
)

func (c *cli) migrate() *cobra.Command {
	var (
		f     storeFlags
		check bool
	)
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database schema up to date", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if check {
				schema, err := db.SchemaOf(cmd.Context(), f.config())
				if err != nil {
					return err
				}
				fmt.Fprintf(c.out, "schema version %d, this program has %d\n", schema.Current, schema.Latest)
				if schema.Current < schema.Latest {
					return db.ErrNotMigrated
				}
				return nil
			}
			before, err := db.Migrate(cmd.Context(), f.config())
			if err != nil {
				return err
			}
			if before.Current == before.Latest {
				fmt.Fprintf(c.out, "schema version %d: nothing to do\n", before.Latest)
				return nil
			}
			fmt.Fprintf(c.out, "schema version %d, was %d\n", before.Latest, before.Current)
			return nil
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "only say whether the schema is up to date; exit 1 if not")
	return cmd
}
