package main

import "github.com/spf13/cobra"

func (c *cli) audit() *cobra.Command {
	g := group("audit", "Read and look after the audit trail", c.auditList(), c.auditTail(), c.auditExport(),
		c.auditVerify(), c.auditReplay(), c.auditPrune())
	g.Long = "Read the audit trail: in the store on this machine (--data, --database-url), as its\n" +
		"operator, or with --url on a running server, as the key that is given there with\n" +
		"BAILIWICK_KEY or --key-file; it needs view:audit. The answers are the same.\n" +
		"Verifying, replaying and pruning are for this machine alone.\n\n" +
		"A call is in the trail within a second of its answer.\n\n" +
		"BAILIWICK_AUDIT_URL sets --url for list, tail and export."
	return g
}
