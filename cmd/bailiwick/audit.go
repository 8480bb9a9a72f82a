package main

import "github.com/spf13/cobra"

func (c *cli) audit() *cobra.Command {
	g := group("audit", "Read the audit trail", c.auditList(), c.auditTail(), c.auditExport())
	g.Long = "Read the audit trail: in the store on this machine (--data, --database-url), as its\n" +
		"operator, or with --url on a running server, as the key that is given there with\n" +
		"BAILIWICK_KEY, --key-file or --key -; it needs view:audit. The answers are the same.\n\n" +
		"A call is in the trail within a second of its answer.\n\n" +
		"BAILIWICK_AUDIT_URL sets --url for all of these commands."
	return g
}
