package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/tenantpurge/purger/purge"
)

// newPlan returns the command "plan".
func newPlan(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Short: "Say what a pass would do now, and change nothing", GroupID: groupPurging,
		Long: `plan walks through everything that is due by the code of a pass and says tenant by
tenant what a pass would do: what it would delete, and which tenants wait, for
whom and until when. It changes nothing.

While purging is paused, halted, stopped by an incomplete import or short of room
on the disk it says so, and lists what the first pass after that would do. The exit
code is 3 when it cannot be said of a tenant, such as when a target does not answer.`,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			r, err := c.Plan(ctx)
			if err != nil {
				return err
			}
			if err := output.write(a.stdout, r, func(t *table) { passTable(t, r) }); err != nil {
				return err
			}
			return unplanned(r)
		})
	}
	return cmd
}

// unplanned returns the error with which a plan ends that is not whole; the report
// says why.
func unplanned(r purge.Report) error {
	for _, row := range r.Tenants {
		if row.Error != "" {
			return &exitError{code: exitSomeFailed}
		}
	}
	return nil
}
