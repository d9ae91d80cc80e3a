package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/store"
)

// newSourceCommand returns the command "source".
func newSourceCommand(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "source", Short: "Look at the system that says which tenants exist", GroupID: groupTenants,
		Long: `The source (source in the configuration) says which tenants exist and which are
disabled. A sync takes over what has changed. One that would change too much, such
as an empty answer, is refused as a whole; somebody may accept exactly that one.
A tenant that a person reactivated stays active until the source disables it anew.
What vanishes from the source is never purged for that, and no tenant is purged
while the source has a row below it from which nothing can be taken over.`,
	})
	cmd.AddCommand(newSourceStatus(a), newSourceSync(a), newSourceAccept(a))
	return cmd
}

// newSourceStatus returns the command "source status".
func newSourceStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Say what came of the last syncs",
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			st, err := c.Source(ctx)
			if err != nil {
				return err
			}
			return output.write(a.stdout, st, func(t *table) { sourceTable(t, st) })
		})
	}
	return cmd
}

// sourceTable renders what is on record of the source.
func sourceTable(t *table, st store.SourceState) {
	t.field("source", st.Name)
	if st.LastGood == nil {
		t.field("last good sync", "none")
	} else {
		t.field("last good sync", syncText(*st.LastGood))
	}
	if st.LastRefused != nil {
		t.field("refused", syncText(*st.LastRefused))
		acceptFields(t, *st.LastRefused)
	}
	if st.LastFailed != nil {
		t.field("failed", syncText(*st.LastFailed))
	}
	if st.Accepted != nil {
		t.field("accepted", fmt.Sprintf("%s by %s at %s", digestText(st.Accepted.Digest), st.Accepted.By, timeText(st.Accepted.At.Time)))
	}
	t.field("vanished", number(st.Vanished))
	if st.Unread > 0 {
		t.field("wait for rejected rows", number(st.Unread))
	}
	lettersTable(t, st)
}

// How many reasons of dead letters are shown, and how many rows of each.
const shownReasons, shownLetters = 10, 3

// lettersTable renders the rows from which nothing was taken.
func lettersTable(t *table, st store.SourceState) {
	groups := store.ByReason(st.DeadLetters)
	shown := 0
	for _, g := range groups[:min(len(groups), shownReasons)] {
		var rows []string
		for _, l := range g[:min(len(g), shownLetters)] {
			row := fmt.Sprintf("row %d", l.Row)
			if l.ID != "" {
				row += " (" + l.ID + ")"
			}
			rows = append(rows, row)
		}
		if more := len(g) - len(rows); more > 0 {
			rows = append(rows, fmt.Sprintf("%s more", number(int64(more))))
		}
		shown += len(g)
		t.field("dead letter", g[0].Reason+": "+strings.Join(rows, ", "))
	}
	if last := lastRead(st); last != nil && last.Counts.Rejected > int64(shown) {
		t.field("dead letters", fmt.Sprintf("%s more, of %s", number(last.Counts.Rejected-int64(shown)), number(last.Counts.Rejected)))
	}
}

// lastRead returns the sync that the dead letters are of; nil for none.
func lastRead(st store.SourceState) *store.Sync {
	if st.LastRefused != nil {
		return st.LastRefused
	}
	return st.LastGood
}

// acceptFields says how to accept a refused sync, and what that means.
func acceptFields(t *table, s store.Sync) {
	if !s.Acceptable() {
		t.field("to accept it", "nobody can: not one row is understood; see purger doctor source")
		return
	}
	t.field("to accept it", "purger source accept "+digestText(s.Digest))
	if c := s.Counts; c.Rejected > 0 {
		t.field("that takes over", fmt.Sprintf("%s, and leaves %s out; see purger doctor source", plural(c.Rows-c.Rejected, "row"), number(c.Rejected)))
	}
}

// digestText cuts a digest to what names it.
func digestText(digest string) string { return digest[:min(len(digest), 12)] }

// syncText sums up a sync.
func syncText(s store.Sync) string {
	c := s.Counts
	text := fmt.Sprintf("%s: %s", timeText(s.FinishedAt.Time), plural(c.Rows, "row"))
	for _, v := range []struct {
		n    int64
		what string
	}{
		{c.New, "new"}, {c.Changed, "changed"}, {c.Reactivated, "reactivated"}, {c.Disabled, "disabled"}, {c.Sooner, "sooner"},
		{c.Later, "later"}, {c.Due, "of them due"}, {c.Overruled, "overruled by a reactivation"}, {c.Vanished, "vanished"}, {c.Rejected, "rejected"},
		{c.Unplaced, "of them with no readable parent"}, {c.TooLate, "active, and too late for them"},
	} {
		if v.n > 0 {
			text += fmt.Sprintf(", %s %s", number(v.n), v.what)
		}
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

// newSourceSync returns the command "source sync".
func newSourceSync(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sync", Short: "Read the source now",
		Long: `sync reads the source now and takes over what has changed; without a daemon it makes
the store if there is none. The exit code is 75 when the sync was refused, and a
person has to look, or failed: purger source status, purger doctor source.`,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, create, func(ctx context.Context, c *session) error {
			if c.cannotSync != nil {
				return c.cannotSync
			}
			s, err := c.SyncSource(ctx)
			if err != nil {
				return err
			}
			err = output.write(a.stdout, s, func(t *table) {
				t.field(string(s.Result), syncText(s))
				if s.Result == store.SyncRefused {
					acceptFields(t, s)
				}
			})
			if err != nil || s.Result == store.SyncGood {
				return err
			}
			return &exitError{code: exitTryAgain}
		})
	}
	return cmd
}

// newSourceAccept returns the command "source accept".
func newSourceAccept(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "accept DIGEST", Short: "Let exactly the sync that was refused happen",
		Long: `accept lets the sync that was refused happen, if the source still says the same at
the next one. DIGEST, or its first 12 digits, is what source status shows.`,
		Args: arguments("DIGEST"),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			st, err := c.AcceptSync(ctx, args[0])
			if err != nil {
				return err
			}
			return output.write(a.stdout, st, func(t *table) { sourceTable(t, st) })
		})
	}
	return cmd
}
