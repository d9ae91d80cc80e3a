package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newApproval returns the command "approval".
func newApproval(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "approval", Short: "Approve or reject what waits for a second person", GroupID: groupPurging,
		Long: `The configuration (api.approvals) may want a second person for a deletion, or for
lifting a pause or a halt. The first one's command then does nothing but ask, and
ends with the exit code 75. Somebody else approves, and so carries it out, or
rejects. What nobody decides on expires.`,
	})
	cmd.AddCommand(newApprovalList(a), newApprovalShow(a), newApprovalApprove(a), newApprovalReject(a))
	return cmd
}

// newApprovalList returns the command "approval list".
func newApprovalList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List what waits, the oldest first",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	all := cmd.Flags().Bool("all", false, "also what was decided or has expired lately")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			list, err := c.Approvals(ctx)
			if err != nil {
				return err
			}
			heads := []string{"APPROVAL", "STATUS", "ACTION", "TENANT", "ASKED BY", "EXPIRES", "DECIDED BY"}
			return writeEach(*output, a.stdout, heads, waitingOf(list, *all), func(p client.Approval) []string {
				return []string{p.ID, string(p.Status), string(p.Action), p.TenantID, actorText(p.RequestedBy), timeText(p.ExpiresAt.Time), p.DecidedBy}
			})
		})
	}
	return cmd
}

// waitingOf returns those of a list that wait, or all.
func waitingOf(list []client.Approval, all bool) iter.Seq2[client.Approval, error] {
	return func(yield func(client.Approval, error) bool) {
		for _, p := range list {
			if (all || p.Status == store.ApprovalPending) && !yield(p, nil) {
				return
			}
		}
	}
}

// newApprovalShow returns the command "approval show".
func newApprovalShow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show what waits, or what became of it",
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withApproval(cmd, args, func(ctx context.Context, c *session, id string) error {
			p, err := c.Approval(ctx, id)
			if err != nil {
				return err
			}
			return output.write(a.stdout, p, func(t *table) { approvalTable(t, p) })
		})
	}
	return cmd
}

// newApprovalApprove returns the command "approval approve".
func newApprovalApprove(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "approve ID", Short: "Carry out what somebody else has asked for",
		Long: `approve carries out what somebody else has asked for, and prints what the command
that asked would have printed. While that is refused, such as while purging is paused,
it goes on to wait. What has changed since then, such as a tenant with another version,
another pause or halt, has to be asked for again: the approval has expired.

For a deletion the tenant's id has to be typed to confirm it, or --yes to be given.`,
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var p client.Approval
		err := a.withApproval(cmd, args, func(ctx context.Context, c *session, id string) (err error) {
			p, err = c.Approval(ctx, id)
			return err
		})
		if err != nil {
			return err
		}
		if p.Action == store.ApproveDelete && p.Status == store.ApprovalPending && !*yes {
			ctx, cancel := a.hangUp(cmd.Context())
			defer cancel()
			question := fmt.Sprintf("This purges tenant %q (version %d) and everything below it now, as %s has asked.", p.TenantID, p.Version, actorText(p.RequestedBy))
			if err := a.confirm(ctx, question, p.TenantID); err != nil {
				return err
			}
		}
		return a.withApproval(cmd, args, func(ctx context.Context, c *session, id string) error {
			if p.Action == store.ApproveDelete && c.cannotPurge != nil {
				return c.cannotPurge
			}
			answer, err := c.Approve(ctx, id)
			if err != nil {
				return stillWaits(ctx, c, id, err)
			}
			return a.printApproved(*output, p, answer)
		})
	}
	return cmd
}

// newApprovalReject returns the command "approval reject".
func newApprovalReject(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "reject ID", Short: "Reject what somebody has asked for, or take it back",
		Args: arguments("ID"),
	}
	output := outputFlag(cmd)
	reason := cmd.Flags().String("reason", "", "why, for who has asked and for the audit trail; no personal data")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withApproval(cmd, args, func(ctx context.Context, c *session, id string) error {
			p, err := c.Reject(ctx, id, client.RejectRequest{Reason: *reason})
			if err != nil {
				return err
			}
			return output.write(a.stdout, p, func(t *table) { approvalTable(t, p) })
		})
	}
	return cmd
}

// withApproval connects for a command on the approval that the first argument
// names.
func (a *app) withApproval(cmd *cobra.Command, args []string, f func(ctx context.Context, c *session, id string) error) error {
	if err := store.CheckID("ID", args[0]); err != nil {
		return usageErrorf("%w", err)
	}
	return a.do(cmd, refuse, func(ctx context.Context, c *session) error { return f(ctx, c, args[0]) })
}

// approvalTable renders an approval for a person.
func approvalTable(t *table, p client.Approval) {
	t.field("id", p.ID)
	t.field("status", string(p.Status))
	t.field("action", string(p.Action))
	t.field("tenant", p.TenantID)
	if p.Version > 0 {
		t.field("version", strconv.FormatInt(p.Version, 10))
	}
	t.field("asked by", actorText(p.RequestedBy))
	t.field("asked", timeText(p.RequestedAt.Time))
	t.field("expires", timeText(p.ExpiresAt.Time))
	t.field("decided by", p.DecidedBy)
	t.field("decided", timeText(p.DecidedAt.Time))
	t.field("reason", p.Reason)
	if o := p.Outcome; o != nil {
		t.field("tried", timeText(o.At.Time)+" by "+o.By)
		if o.Code != "" {
			t.field("refused", string(o.Code))
		}
		t.field("outcome", o.Detail)
	}
	if c := p.Call; c != nil {
		t.field("call", c.Method+" "+c.Path)
		t.field("with", string(c.Body))
	}
}

// printApproved renders the answer of a call that was approved.
func (a *app) printApproved(f format, p client.Approval, answer json.RawMessage) error {
	var d client.Deletion
	var g store.Gates
	if len(answer) == 0 {
		answer = json.RawMessage(`{}`)
	}
	into := any(&d)
	if p.Action == store.ApproveResume {
		into = &g
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("it was approved and done; its answer cannot be read: %w", err)
	}
	return f.write(a.stdout, answer, func(t *table) {
		switch {
		case p.Action == store.ApproveResume:
			gatesTable(t, g)
		case d.Success:
			deletionTable(t, d)
		default:
			t.text("Tenant %s was deleted.", cmp.Or(d.Data.ID, p.TenantID))
		}
	})
}

// deletionTable renders what a deletion has removed.
func deletionTable(t *table, d client.Deletion) {
	t.text("Tenant %s was deleted at %s, with %s.", d.Data.ID, timeText(d.Data.DeletedAt.Time), countsText(d.Data.ResourcesDeleted))
	t.text("See 'purger receipt %s'.", d.Data.ID)
}

// stillWaits adds to the error of an approval what has become of it.
func stillWaits(ctx context.Context, c *session, id string, err error) error {
	p, lost := c.Approval(ctx, id)
	switch {
	case lost != nil || p.Outcome == nil: // the error is about the approval itself
		return err
	case p.Status == store.ApprovalPending:
		return fmt.Errorf("%w; nothing was done, and the approval waits on, until %s", err, timeText(p.ExpiresAt.Time))
	case p.Status == store.ApprovalExpired:
		return fmt.Errorf("%w; nothing was done, and the approval has expired: it has to be asked for again", err)
	}
	return err
}

// waits adds to the error of a call that waits for a second person what that one has
// to do.
func waits(err error) error {
	var w *client.ApprovalError
	if !errors.As(err, &w) {
		return err
	}
	return &exitError{code: exitTryAgain, err: fmt.Errorf("%w; somebody else has to run 'purger approval approve %s'", err, w.Approval.ID)}
}
