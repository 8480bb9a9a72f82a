package main

import "github.com/spf13/cobra"

func (c *cli) audit() *cobra.Command {
	return group("audit", "Look after the audit trail", c.auditVerify(), c.auditPrune())
}
