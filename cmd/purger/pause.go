package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newPause returns the command "pause".
func newPause(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pause --reason TEXT", Short: "Stop purging until it is resumed", GroupID: groupPurging,
		Long: `pause stops purging: from then on nothing is claimed, by no pass and no deletion.
It is kept in the store and outlives a restart. With --until it ends by itself.`,
		Example: "  purger pause --reason 'change freeze' --until 2027-01-02",
		Args:    arguments(),
	}
	output := outputFlag(cmd)
	reason := cmd.Flags().String("reason", "", "why (required)")
	until := cmd.Flags().String("until", "", "when the pause ends by itself: a time (RFC 3339) or a date")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *reason == "" {
			return usageErrorf("--reason is missing; want a text that says why")
		}
		end, err := parseWhen("until", *until)
		if err != nil {
			return err
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			g, err := c.Pause(ctx, client.PauseRequest{Reason: *reason, Until: end})
			if err != nil {
				return err
			}
			return output.write(a.stdout, g, func(t *table) { gatesTable(t, g) })
		})
	}
	return cmd
}

// newResume returns the command "resume".
func newResume(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "resume", Short: "Lift a pause or a halt", GroupID: groupPurging,
		Long: `resume lifts a pause and a halt. A halt, which a limit caused, is lifted only with
a reason; --allow lets that many tenants pass beyond the limits.`,
		Example: "  purger resume --reason 'the migration of May was meant to be this large' --allow 400",
		Args:    arguments(),
	}
	output := outputFlag(cmd)
	reason := cmd.Flags().String("reason", "", "why (required to lift a halt)")
	allow := cmd.Flags().Int64("allow", 0, "how many tenants may be purged beyond the limits")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *allow < 0 {
			return usageErrorf("--allow %d: want 0 or more", *allow)
		}
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			g, err := c.Resume(ctx, client.ResumeRequest{Reason: *reason, Allow: *allow})
			if err != nil {
				return err
			}
			return output.write(a.stdout, g, func(t *table) { gatesTable(t, g) })
		})
	}
	return cmd
}

// gatesTable renders the gates as they are after a change.
func gatesTable(t *table, g store.Gates) {
	if p := g.Pause; p != nil {
		t.text("Purging is %s", pauseText(*p))
	}
	if h := g.Halt; h != nil {
		t.text("Purging is %s", haltText(*h))
	}
	if i := g.Import; i != nil {
		t.text("Purging is stopped since %s: an import is not complete; run it again to complete it.", timeText(i.Since.Time))
	}
	if g.Pause == nil && g.Halt == nil && g.Import == nil {
		t.text("Purging goes on.")
	}
	if g.Allowance > 0 {
		t.text("%s may be purged beyond the limits.", plural(g.Allowance, "tenant"))
	}
}

// pauseText says until when purging is paused, by whom and why.
func pauseText(p store.Pause) string {
	end := "until it is resumed"
	if !p.Until.IsZero() {
		end = "until " + timeText(p.Until.Time)
	}
	return fmt.Sprintf("paused %s by %s: %s", end, actorText(p.Actor), p.Reason)
}

// haltText says since when purging is halted, and which limit was hit.
func haltText(h store.Halt) string {
	return fmt.Sprintf("halted since %s: %s: %s", timeText(h.Since.Time), h.Limit, h.Detail)
}

// gateText says which gate is closed and why.
func gateText(g store.Gate) string {
	if g.Detail == "" {
		return string(g.Reason)
	}
	return fmt.Sprintf("%s (%s)", g.Reason, g.Detail)
}
