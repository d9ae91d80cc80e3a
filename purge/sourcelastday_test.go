package purge_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// TestSync_G9_WhatSyncsChangeInADayCountsTogether has a source that goes wrong by and
// by, each sync below the bound, and a new process for each.
func TestSync_G9_WhatSyncsChangeInADayCountsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d := newStore(t), &directory{}
		rows := many(100, on)
		d.set(rows...)
		one := func() *purge.Syncer { return newSyncer(t, s, d, floor(10)) } // or 20 of 100
		synced(t, one(), store.SyncGood)
		next := 0
		due := func(n int) {
			for range n {
				rows[next] = dueRow(rows[next].Tenant.ID, "")
				next++
			}
			d.set(rows...)
		}
		for range 4 {
			due(5)
			synced(t, one(), store.SyncGood)
			time.Sleep(time.Hour)
		}
		due(1)
		r := synced(t, one(), store.SyncRefused)
		if !strings.Contains(r.Why, "1 tenants would get a purge date, or an earlier one, and 20 in the 24 hours before") {
			t.Errorf("refused: %s", r.Why)
		}
		st, err := s.Stats(t.Context(), time.Now())
		if err != nil || st.Due != 20 {
			t.Errorf("%d are due, %v; want 20", st.Due, err)
		}
		// What a person accepts begins anew.
		if _, err := one().Accept(t.Context(), r.Digest, store.Origin{Actor: operator, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		synced(t, one(), store.SyncGood)
		due(20)
		synced(t, one(), store.SyncGood)
		due(1)
		synced(t, one(), store.SyncRefused)
		time.Sleep(23 * time.Hour)
		synced(t, one(), store.SyncRefused)
		time.Sleep(2 * time.Hour) // it counts by the hour
		synced(t, one(), store.SyncGood)
	})
}

// TestSync_WhatVanishesAndComesBackCountsOnce: a list that lacks another few each time.
func TestSync_WhatVanishesAndComesBackCountsOnce(t *testing.T) {
	s, d := newStore(t), &directory{}
	rows := many(20, on)
	y := newSyncer(t, s, d, floor(4))
	d.set(rows...)
	synced(t, y, store.SyncGood)
	for range 5 {
		d.set(rows[3:]...)
		synced(t, y, store.SyncGood)
		d.set(rows...)
		synced(t, y, store.SyncGood)
	}
	d.set(rows[3:]...)
	synced(t, y, store.SyncGood)
	d.set(rows[5:]...)
	synced(t, y, store.SyncRefused)
}

// with24h adds to what a sync would do what others did, all of it within a day.
func with24h(sooner, gone int, lately []store.SourceHour) (int, int) {
	var s, g int
	for _, h := range lately {
		s, g = s+int(h.Sooner), g+int(h.Vanished)
	}
	if sooner > 0 {
		sooner += s
	}
	if gone > 0 {
		gone += max(g, 0)
	}
	return sooner, gone
}
