package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// newRun returns the command "run".
func newRun(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Make one pass now: purge everything that is due", GroupID: groupPurging,
		Long: `run makes one pass and reports what became of every tenant that is due. With a
daemon running, the daemon makes the pass; without, this process does, and reads the
source first, if there is one. On a terminal it shows how far it is.

The exit code is 3 when a tenant failed or will be retried, also one that was begun
by an earlier pass and waits for its next attempt; 75 when purging is paused, halted
or stopped by an incomplete import; and 78, before anything is done, when a target or
the source cannot be made, such as for want of a secret.`,
		Example: "  purger run --once -o json",
		Args:    arguments(),
	}
	output := outputFlag(cmd)
	// For a crontab or a Job the word says what happens; there is no other mode.
	cmd.Flags().Bool("once", true, "make exactly one pass, which is what run does in any case")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if once, err := cmd.Flags().GetBool("once"); err != nil || !once {
			return usageErrorf("--once=false: run makes exactly one pass; for one after the other want 'purger serve'")
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			if c.cannotPurge != nil {
				return c.cannotPurge
			}
			a.syncFirst(ctx, c)
			done := watchPass(ctx, c.Status, a.newProgress())
			r, err := makePass(ctx, c)
			done()
			if err != nil {
				return err
			}
			if err := output.write(a.stdout, r, func(t *table) { passTable(t, r) }); err != nil {
				return err
			}
			if err := passError(r); err != nil {
				return err
			}
			return begunError(ctx, c)
		})
	}
	return cmd
}

// begunError returns the error with which a command ends whose pass went well while
// tenants that were begun before wait for their next attempt: whoever looks at the
// exit code alone would take it that nothing is left to do.
func begunError(ctx context.Context, c *session) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	n := s.Stats.Tenants[store.StatusPurging]
	if n == 0 {
		return nil
	}
	return &exitError{code: exitSomeFailed, err: fmt.Errorf("not finished: %s begun by an earlier pass; see purger status", plural(n, "tenant"))}
}

// syncFirst reads the source before a pass in this process: nobody else does. What
// goes wrong is told, and does not keep the pass from going on with what it may.
func (a *app) syncFirst(ctx context.Context, c *session) {
	if !c.local || c.cannotSync != nil {
		return
	}
	r, err := c.SyncSource(ctx)
	switch {
	case store.CodeOf(err) == store.Precondition: // that is: there is no source
	case err != nil:
		fmt.Fprintf(a.stderr, "purger: run: the source could not be read: %s\n", printable(err.Error()))
	case r.Result != store.SyncGood:
		fmt.Fprintf(a.stderr, "purger: run: the sync before the pass was %s: %s; see purger source status\n", r.Result, printable(r.Why))
	}
}

// makePass makes a pass and waits for its report. Of a pass in this process that
// a signal ends there is a report as well, of what was done by then; a daemon
// goes on with its pass when the caller leaves.
func makePass(ctx context.Context, c *session) (purge.Report, error) {
	if c.local {
		// The server ends the pass, and so the call.
		ctx = context.WithoutCancel(ctx)
	}
	return c.Run(ctx, purge.TriggerRun)
}
