package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
	"pgregory.net/rapid"
)

// runModel runs random histories. Their number is that of -rapid.checks, and
// their length three times -rapid.steps: the store is opened anew between.
func runModel(t *testing.T, h Harness) {
	rapid.Check(t, func(rt *rapid.T) {
		e := &env{t: t, h: h, dir: t.TempDir()}
		e.s = open(t, h, e.dir)
		m := &machine{model: newModel(), e: e}
		defer func() {
			if err := m.e.s.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()
		m.plant(rt)
		for range 3 {
			rt.Repeat(m.actions())
			m.compareAll(rt)
			m.restart(rt)
		}
		m.compare(rt)
		m.compareAll(rt)
	})
}

// compare compares what is cheap, after every action.
func (m *machine) compare(t *rapid.T) {
	tenants, err := allTenants(m.e.ctx(), m.e.s)
	if err != nil {
		t.Fatalf("Tenants: %v", err)
	}
	if len(tenants) != len(m.tenants) {
		t.Fatalf("%d tenants; want %d", len(tenants), len(m.tenants))
	}
	for i := range tenants {
		if defect := m.tenantDefect(&tenants[i]); defect != "" {
			t.Fatalf("tenant %q: %s\nstore: %+v\nmodel: %v", tenants[i].ID, defect, tenants[i], m.tenants[tenants[i].ID])
		}
	}
	if defect, err := accessDefect(m.e.ctx(), m.e.s); err != nil || defect != "" {
		t.Fatalf("the gate: %s (%v)", defect, err)
	}
	due, err := m.e.s.Due(m.e.ctx(), m.now, store.Cursor{}, store.MaxPage)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	if diff := cmp.Diff(m.due(), due, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("due at %s (model -, store +):\n%s", store.FormatTime(m.now), diff)
	}
	resumable, err := m.e.s.Resumable(m.e.ctx(), m.now, store.Cursor{}, store.MaxPage)
	if err != nil {
		t.Fatalf("Resumable: %v", err)
	}
	ids := idsOf(resumable)
	slices.Sort(ids)
	if !slices.Equal(ids, m.resumable()) {
		t.Fatalf("resumable at %s: %q; want %q", store.FormatTime(m.now), ids, m.resumable())
	}
	if defect := m.e.nextAttemptDefect(m.now); defect != "" {
		t.Fatal(defect)
	}
	for id, v := range m.tenants {
		if v.parent == "" {
			if defect := m.e.surveyDefect(id, request(m.now)); defect != "" {
				t.Fatal(defect)
			}
		}
	}
}

// tenantDefect returns how a record differs from the model.
func (m *machine) tenantDefect(got *store.Tenant) string {
	w := m.tenants[got.ID]
	if w != nil && w.stale {
		if w.stale = false; got.Block == nil {
			w.block = nil
		}
	}
	switch {
	case w == nil:
		return "not in the model"
	case got.Status != w.status && (w.status != store.StatusPurging || !got.Status.Irrevocable()):
		return fmt.Sprintf("status %s; want %s", got.Status, w.status)
	case got.ParentID != w.parent:
		return fmt.Sprintf("parent %q; want %q", got.ParentID, w.parent)
	case got.Hostname != w.host:
		return fmt.Sprintf("host name %q; want %q", got.Hostname, w.host)
	case got.Version < w.version || got.Version > w.version && !w.status.Irrevocable():
		return fmt.Sprintf("version %d; want %d", got.Version, w.version)
	case !got.DisabledAt.Equal(w.at) || !got.EstimatedPurgeDate.Equal(w.date) || got.PurgeAfterDays != w.days:
		return fmt.Sprintf("dates %v, %v; want %v, %v", got.DisabledAt, got.EstimatedPurgeDate, w.at, w.date)
	case !got.ReactivatedAt.Equal(w.stands):
		return fmt.Sprintf("reactivated at %v; want %v", got.ReactivatedAt, w.stands)
	case (got.Hold != nil) != w.held || got.Hold != nil && (!got.Hold.Until.Equal(w.until) || !got.Hold.Since.Equal(w.since) || got.Hold.Reason != w.reason):
		return fmt.Sprintf("hold %+v; want %v until %v", got.Hold, w.held, w.until)
	case got.ActiveSubscriptions != w.subs:
		return fmt.Sprintf("subscriptions %d; want %d", got.ActiveSubscriptions, w.subs)
	case w.status == store.StatusDisabled && !sameBlock(got.Block, w.block):
		return fmt.Sprintf("block %+v; want %+v", got.Block, w.block)
	case (got.Purge != nil) != (m.claims[got.ID] != nil):
		return fmt.Sprintf("progress %+v; want a claim: %v", got.Purge, m.claims[got.ID] != nil)
	}
	return ""
}

// sameBlock compares blocks, but for the end of a lease that may have moved.
func sameBlock(a, b *store.Block) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Reason == b.Reason && a.By == b.By && (a.Reason == store.BlockPurging || a.Until.Equal(b.Until.Time))
}

// compareAll compares everything: resources, evidence, stats against a
// recount, and the store's own check.
func (m *machine) compareAll(t *rapid.T) {
	ctx := m.e.ctx()
	d, holds := m.e.s.(store.Directory)
	for id, w := range m.tenants {
		// What a claim has begun to erase is known to the receipt alone.
		if !holds || w.status.Irrevocable() {
			continue
		}
		rows, err := allResources(ctx, d, id)
		if err != nil {
			t.Fatalf("List(%q): %v", id, err)
		}
		got := map[store.Kind]map[string]string{}
		for _, r := range rows {
			if got[r.Kind] == nil {
				got[r.Kind] = map[string]string{}
			}
			got[r.Kind][r.ID] = string(r.Data)
		}
		wantRows := map[store.Kind]map[string]string{}
		for k, rs := range w.resources {
			if len(rs) > 0 {
				wantRows[k] = rs
			}
		}
		if diff := cmp.Diff(wantRows, got); diff != "" {
			t.Fatalf("resources of %q (model -, store +):\n%s", id, diff)
		}
		n, err := d.Count(ctx, id)
		n.SubTenants = 0
		if err != nil || n != w.counts() {
			t.Fatalf("Count(%q): %+v, %v; want %+v", id, n, err, w.counts())
		}
	}
	for id, top := range m.tombs {
		ts, err := m.e.s.Tombstone(ctx, id)
		if err != nil || ts.PurgedWith != top {
			t.Fatalf("Tombstone(%q): %+v, %v; want it purged with %q", id, ts, err, top)
		}
		r, err := m.e.s.Receipt(ctx, id)
		if err != nil || r.TenantID != top || !slices.Contains(r.Tenants, id) {
			t.Fatalf("Receipt(%q): %+v, %v; want that of %q", id, r, err, top)
		}
	}
	if diff, err := statsDiff(ctx, m.e.s, m.now); err != nil || diff != "" {
		t.Fatalf("stats at %s: %v (recount -, store +)\n%s", store.FormatTime(m.now), err, diff)
	}
	if err := m.e.s.Check(ctx); err != nil {
		t.Fatalf("Check: %v", err)
	}
	if err := verifyAudit(ctx, m.e.s); err != nil {
		t.Fatalf("audit: %v", err)
	}
}
