package api

import (
	"maps"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// statsOf renders s, with every status and every block reason present.
func statsOf(s store.Stats) client.Stats {
	w := client.Stats{
		Tenants: map[store.Status]int64{}, Resources: s.Resources, Blocked: map[store.BlockReason]int64{},
		Due: s.Due, OldestDue: store.Timestamp{Time: s.OldestDue}, NextPurge: store.Timestamp{Time: s.NextPurge},
		ClaimedLastDay: s.ClaimedLastDay, AuditHead: s.AuditHead,
		Size: client.FileSize{Size: s.Size.Size, Free: s.Size.Free, Freelist: s.Size.Freelist},
	}
	for _, v := range store.Statuses() {
		w.Tenants[v] = 0
	}
	for _, v := range store.BlockReasons() {
		w.Blocked[v] = 0
	}
	maps.Copy(w.Tenants, s.Tenants)
	maps.Copy(w.Blocked, s.Blocked)
	return w
}
