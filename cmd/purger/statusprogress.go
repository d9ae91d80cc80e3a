package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// maxProgress is how many purges the status shows one by one.
const maxProgress = 20

// begunPurges are the purges on record that have not come to an end.
type begunPurges struct {
	// purging has those that go on by themselves, by the tenant at the top; of very
	// many it has the first ones.
	purging map[string]*store.Progress
	// failed are those that wait for a person, maxProgress of them at most.
	failed []client.Tenant
}

// begunPurges asks for them.
func (c *session) begunPurges(ctx context.Context) (begunPurges, error) {
	b := begunPurges{purging: map[string]*store.Progress{}}
	page, err := c.Tenants(ctx, client.TenantQuery{Status: store.StatusPurging, Limit: store.MaxPage})
	if err != nil {
		return b, err
	}
	for _, t := range page.Data {
		if t.Purge != nil { // it is with the tenant at the top
			b.purging[t.ID] = t.Purge
		}
	}
	page, err = c.Tenants(ctx, client.TenantQuery{Status: store.StatusFailed, Limit: store.MaxPage})
	for _, t := range page.Data {
		if t.Purge != nil && len(b.failed) < maxProgress {
			b.failed = append(b.failed, t)
		}
	}
	return b, err
}

// waiting returns what is on record of a purge whose last attempt has failed and that
// is tried again; nil for one that goes well.
func (b begunPurges) waiting(tenant string) *store.Progress {
	if p := b.purging[tenant]; p != nil && p.LeaseEnd.IsZero() && p.LastError != "" {
		return p
	}
	return nil
}

// done returns how many resources a purge has removed in its target, those of earlier
// processes included as far as they are on record.
func (b begunPurges) done(p client.TargetProgress) int64 {
	if kept := b.purging[p.TenantID]; kept != nil {
		return max(p.Done, kept.Targets[p.Target].Resources())
	}
	return p.Done
}

// progressFields renders purges: a line for each target, one for each tenant that is
// not through, those first that do not get on, and one for each that needs a person.
func progressFields(t *table, rows []client.TargetProgress, b begunPurges, now time.Time) {
	targets := map[string][]client.TargetProgress{}
	var names []string
	for _, p := range rows {
		if targets[p.Target] == nil {
			names = append(names, p.Target)
		}
		targets[p.Target] = append(targets[p.Target], p)
	}
	slices.Sort(names)
	for _, name := range names {
		t.field("target "+name, sumText(targets[name], b))
	}
	rows = slices.DeleteFunc(slices.Clone(rows), through)
	slices.SortStableFunc(rows, func(x, y client.TargetProgress) int {
		return cmp.Or(cmp.Compare(b.trouble(y), b.trouble(x)), cmp.Compare(b.done(x), b.done(y)))
	})
	for _, p := range rows[:min(len(rows), maxProgress)] {
		p.Done = b.done(p)
		t.field("purging "+p.TenantID+" in "+p.Target, progressText(p, b.waiting(p.TenantID), now))
	}
	if n := len(rows) - maxProgress; n > 0 {
		t.field("purging", number(int64(n))+" more in their targets")
	}
	begunFields(t, rows, b)
	for _, f := range b.failed {
		t.field("failed "+f.ID, f.Purge.LastError+"; once that is mended: purger tenant retry "+f.ID)
	}
}

// begunFields renders the purges that go on by themselves and of which no target of
// this process knows: who asks is not the daemon, or it has just begun. What a daemon
// is at in its store alone is not among them: that ends in a moment.
func begunFields(t *table, rows []client.TargetProgress, b begunPurges) {
	known := map[string]bool{}
	for _, p := range rows {
		known[p.TenantID] = true
	}
	var ids []string
	for id, p := range b.purging {
		if !known[id] && (b.waiting(id) != nil || len(p.Holds) > 0) {
			ids = append(ids, id)
		}
	}
	well := func(id string) int {
		if b.waiting(id) != nil {
			return 0
		}
		return 1
	}
	slices.SortFunc(ids, func(x, y string) int { return cmp.Or(cmp.Compare(well(x), well(y)), cmp.Compare(x, y)) })
	for _, id := range ids[:min(len(ids), maxProgress)] {
		text := number(b.purging[id].Deleted.Resources()) + " removed"
		if p := b.waiting(id); p != nil {
			text += fmt.Sprintf(", tried again at %s: %s", timeText(p.NextAttempt.Time), p.LastError)
		} else {
			text += ", goes on with the next pass"
		}
		t.field("purging "+id, text)
	}
	if n := len(ids) - maxProgress; n > 0 {
		t.field("purging", number(int64(n))+" more that go on later")
	}
}

// through reports whether nothing is left of a tenant in a target.
func through(p client.TargetProgress) bool {
	return p.Remaining != nil && *p.Remaining == 0 && p.Reason == ""
}

// trouble is 1 for a purge that does not get on.
func (b begunPurges) trouble(p client.TargetProgress) int {
	if p.Reason != "" || b.waiting(p.TenantID) != nil {
		return 1
	}
	return 0
}

// sumText sums up how far the purges are in one target.
func sumText(rows []client.TargetProgress, b begunPurges) string {
	var done, left, again int64
	var rate float64
	known := true
	waits := map[string]int64{}
	for _, p := range rows {
		done, rate = done+b.done(p), rate+p.Rate
		if p.Remaining == nil {
			known = false
		} else {
			left += *p.Remaining
		}
		switch {
		case p.Reason != "":
			waits[string(p.Reason)+" until "+timeText(p.Until.Time)]++
		case !through(p) && b.waiting(p.TenantID) != nil:
			again++
		}
	}
	text := plural(int64(len(rows)), "tenant") + ", " + number(done) + " removed"
	switch {
	case known && left == 0:
		text += ", nothing left"
	case known:
		text += ", " + number(left) + " left"
	}
	if rate > 0 && (left > 0 || !known) {
		text += ", " + rateText(rate)
		if known {
			text += ", " + leftText(float64(left)/rate)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(waits)) {
		text += fmt.Sprintf("; %s put off: %s", number(waits[why]), why)
	}
	if again > 0 {
		text += fmt.Sprintf("; %s to be tried again", number(again))
	}
	return text
}

// progressText sums up how far a purge is in one target. failed tells of an attempt
// that has ended and is to be followed by another; nil: one is under way.
func progressText(p client.TargetProgress, failed *store.Progress, now time.Time) string {
	text := number(p.Done) + " removed"
	if p.Remaining != nil {
		text += ", " + number(*p.Remaining) + " left"
	}
	if failed != nil && p.Reason == "" {
		return text + fmt.Sprintf(", tried again at %s: %s", timeText(failed.NextAttempt.Time), failed.LastError)
	}
	text += ", " + rateText(p.Rate)
	switch {
	case p.Reason != "":
		text += fmt.Sprintf(", waits until %s (%s)", timeText(p.Until.Time), p.Reason)
	case !p.ETA.IsZero():
		text += ", ends about " + timeText(p.ETA.Time)
	case p.ProgressedAt.IsZero():
		text += fmt.Sprintf(", nothing yet in %s", now.Sub(p.BeganAt.Time).Round(time.Second))
	default:
		text += fmt.Sprintf(", nothing for %s", now.Sub(p.ProgressedAt.Time).Round(time.Second))
	}
	return text
}
