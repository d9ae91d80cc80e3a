package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// newStatus returns the command "status".
func newStatus(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Say how things are: gates, counts, last and next pass", GroupID: groupDaemon,
		Args: arguments(),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.do(cmd, refuse, func(ctx context.Context, c *session) error {
			s, err := c.Status(ctx)
			if err != nil {
				return err
			}
			var about surroundings
			if *output == formatTable {
				if about, err = c.surroundings(ctx, s); err != nil {
					return err
				}
			}
			return output.write(a.stdout, s, func(t *table) { statusTable(t, s, about) })
		})
	}
	return cmd
}

// surroundings is what a person is told beside the status.
type surroundings struct {
	// source is what is on record of the source, nil without one.
	source *store.SourceState
	begun  begunPurges
}

// surroundings asks for what belongs to a status.
func (c *session) surroundings(ctx context.Context, s client.Status) (surroundings, error) {
	var about surroundings
	var err error
	if about.source, err = c.source(ctx); err != nil {
		return about, err
	}
	if s.Stats.Tenants[store.StatusPurging]+s.Stats.Tenants[store.StatusFailed] > 0 {
		about.begun, err = c.begunPurges(ctx)
	}
	return about, err
}

// source returns what is on record of the source; nil when the configuration has
// none.
func (c *session) source(ctx context.Context) (*store.SourceState, error) {
	st, err := c.Source(ctx)
	switch store.CodeOf(err) {
	case "":
		return &st, nil
	case store.Precondition:
		return nil, nil
	}
	return nil, err
}

// sourceText says whether the source is read, and what to do when it is not.
func sourceText(st store.SourceState) string {
	text := "no good sync yet"
	if st.LastGood != nil {
		text = "last good sync at " + timeText(st.LastGood.FinishedAt.Time)
	}
	last, what := st.LastRefused, "refused"
	if f := st.LastFailed; f != nil && (last == nil || f.FinishedAt.After(last.FinishedAt.Time)) {
		last, what = f, "failed"
	}
	switch {
	case last != nil:
		text = fmt.Sprintf("%s at %s, %s; see purger source status", what, timeText(last.FinishedAt.Time), text)
	case st.LastGood == nil:
		text += "; see purger source sync"
	}
	return text
}

// statusTable renders the status for a person: what stops purging comes first.
func statusTable(t *table, s client.Status, about surroundings) {
	daemon := "not running"
	if s.Daemon {
		daemon = fmt.Sprintf("running, pid %d, version %s", s.PID, s.Version)
	}
	t.field("daemon", daemon)
	t.field("data directory", s.DataDir)
	for _, g := range s.Closed {
		t.field("purging is stopped", closedText(g, s.Gates))
	}
	if len(s.Closed) == 0 {
		t.field("purging", "goes on")
	}
	if s.Gates.Allowance > 0 {
		t.field("allowance", plural(s.Gates.Allowance, "tenant")+" beyond the limits")
	}
	if r := s.Running; r != nil {
		t.field("pass", fmt.Sprintf("running since %s (%s)", timeText(r.Since.Time), r.Trigger))
	}
	progressFields(t, s.Progress, about.begun, time.Now())
	if about.source != nil {
		t.field("source", sourceText(*about.source))
	}
	if r := s.LastRun; r != nil {
		t.field("last pass", runText(*r))
	}
	if s.Schedule != "" {
		next := timeText(s.NextRun.Time)
		if next == "" {
			next = "none"
		}
		t.field("next pass", fmt.Sprintf("%s (%s)", next, s.Schedule))
	}
	t.field("next retry", timeText(s.NextRetry.Time))
	statsFields(t, s.Stats)
}

// closedText says which gate is closed and why, for how long, and who closed it.
func closedText(g store.Gate, all store.Gates) string {
	switch {
	case g.Reason == store.GatePaused && all.Pause != nil:
		return pauseText(*all.Pause)
	case g.Reason == store.GateHalted && all.Halt != nil:
		return haltText(*all.Halt)
	}
	return gateText(g)
}

// runText sums up a pass that has ended.
func runText(r store.Run) string {
	text := fmt.Sprintf("%s at %s (%s): %s purged", r.Result, timeText(r.FinishedAt.Time), r.Trigger, plural(r.Tenants, "tenant"))
	if r.Failed > 0 {
		text += ", " + number(r.Failed) + " failed or to be tried again"
	}
	if r.Blocked > 0 {
		text += ", " + number(r.Blocked) + " blocked"
	}
	if r.Error != "" {
		text += ": " + r.Error
	}
	return text
}

// statsFields renders what the store holds.
func statsFields(t *table, s client.Stats) {
	var tenants []string
	for _, v := range store.Statuses() {
		if n := s.Tenants[v]; n > 0 {
			tenants = append(tenants, number(n)+" "+string(v))
		}
	}
	if len(tenants) == 0 {
		tenants = append(tenants, "none")
	}
	t.field("tenants", strings.Join(tenants, ", "))
	due := number(s.Due)
	if s.Due > 0 {
		due += ", the oldest since " + timeText(s.OldestDue.Time)
	}
	t.field("due", due)
	var blocked []string
	for _, r := range store.BlockReasons() {
		if n := s.Blocked[r]; n > 0 {
			blocked = append(blocked, number(n)+" "+string(r))
		}
	}
	t.field("blocked", strings.Join(blocked, ", "))
	t.field("next date", timeText(s.NextPurge.Time))
	t.field("resources", countsText(s.Resources))
	t.field("claimed in 24 h", number(s.ClaimedLastDay))
	t.field("audit entries", fmt.Sprint(s.AuditHead.Seq))
	t.field("file", fmt.Sprintf("%s, %s of it free", sizeText(s.Size.Size), sizeText(s.Size.Free)))
}
