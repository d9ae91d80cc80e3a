package store_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

func TestSameImport_ComparesWhatAFileSays(t *testing.T) {
	base := func() store.Tenant {
		tn := disabled("a")
		tn.ParentID, tn.Name, tn.Hostname, tn.ActiveSubscriptions = "root", "A", "a.example", 1
		tn.Hold = &store.Hold{Reason: "r", Until: t0.Add(time.Hour)}
		return tn
	}
	for _, c := range []struct {
		name string
		want bool
		edit func(*store.Tenant)
	}{
		{"nothing", true, func(*store.Tenant) {}},
		{"the zone of a date", true, func(t *store.Tenant) { t.DisabledAt = t.DisabledAt.In(time.FixedZone("", 3600)) }},
		{"the version", true, func(t *store.Tenant) { t.Version = 9 }},
		{"creation", true, func(t *store.Tenant) { t.CreatedAt, t.UpdatedAt = t0, t0 }},
		{"actors", true, func(t *store.Tenant) { t.DisabledBy, t.Hold.Actor, t.Hold.Since = alice, alice, t0 }},
		{"the block", true, func(t *store.Tenant) { t.Block = &store.Block{} }},
		{"the id", false, func(t *store.Tenant) { t.ID = "b" }},
		{"the parent", false, func(t *store.Tenant) { t.ParentID = "" }},
		{"the name", false, func(t *store.Tenant) { t.Name = "a" }},
		{"the host name", false, func(t *store.Tenant) { t.Hostname = "" }},
		{"the status", false, func(t *store.Tenant) { t.Status = store.StatusPurging }},
		{"subscriptions", false, func(t *store.Tenant) { t.ActiveSubscriptions = 0 }},
		{"disabledAt", false, func(t *store.Tenant) { t.DisabledAt = t.DisabledAt.Add(time.Millisecond) }},
		{"the days", false, func(t *store.Tenant) { t.PurgeAfterDays = 11 }},
		{"the date", false, func(t *store.Tenant) { t.EstimatedPurgeDate = t.EstimatedPurgeDate.Add(-time.Millisecond) }},
		{"no hold", false, func(t *store.Tenant) { t.Hold = nil }},
		{"the reason of the hold", false, func(t *store.Tenant) { t.Hold.Reason = "s" }},
		{"the end of the hold", false, func(t *store.Tenant) { t.Hold.Until = time.Time{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept, want := base(), base()
			c.edit(&want)
			if got := store.SameImport(&kept, &want); got != c.want {
				t.Errorf("SameImport = %v; want %v", got, c.want)
			}
			if got := store.SameImport(&want, &kept); got != c.want {
				t.Errorf("swapped: SameImport = %v; want %v", got, c.want)
			}
		})
	}
	kept, want := base(), base()
	kept.Hold, want.Hold = nil, nil
	if !store.SameImport(&kept, &want) {
		t.Error("two records without a hold differ")
	}
}

func TestResource_Validate(t *testing.T) {
	for _, c := range []struct {
		field string
		r     store.Resource
	}{
		{"", store.Resource{TenantID: "a", Kind: store.KindUser, ID: "u"}},
		{"", store.Resource{TenantID: "a", Kind: store.KindUser, ID: "u", Data: json.RawMessage(strings.Repeat("x", store.MaxDataSize))}},
		{"tenantId", store.Resource{Kind: store.KindUser, ID: "u"}},
		{"tenantId", store.Resource{TenantID: "a/b", Kind: store.KindUser, ID: "u"}},
		{"kind", store.Resource{TenantID: "a", Kind: "User", ID: "u"}},
		{"kind", store.Resource{TenantID: "a", ID: "u"}},
		{"id", store.Resource{TenantID: "a", Kind: store.KindUser}},
		{"id", store.Resource{TenantID: "a", Kind: store.KindUser, ID: "\x00"}},
		{"data", store.Resource{TenantID: "a", Kind: store.KindUser, ID: "u", Data: make([]byte, store.MaxDataSize+1)}},
	} {
		if err := c.r.Validate(); c.field != "" {
			wantInvalid(t, err, c.field)
		} else if err != nil {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}
