package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

func createCases() []testCase {
	return []testCase{
		{"BeginsActiveAtVersion1", func(e *env) {
			at := t0.Add(1_234_567) // 1 ms and a part that is cut off
			got, err := e.s.Create(e.ctx(), store.Tenant{ID: "acme", Name: "Acme & <Söhne>", Hostname: "acme.example", ActiveSubscriptions: 3},
				store.Origin{Actor: alice, At: at.In(time.FixedZone("", 7200))})
			if err != nil {
				e.t.Fatalf("Create: %v", err)
			}
			ms := t0.Add(time.Millisecond)
			want := store.Tenant{ID: "acme", Name: "Acme & <Söhne>", Hostname: "acme.example", ActiveSubscriptions: 3,
				Status: store.StatusActive, Version: 1, CreatedAt: ms, UpdatedAt: ms}
			e.equal(want, got, "what Create returns")
			e.equal(want, e.tenant("acme"), "what Tenant returns")
			if loc := got.CreatedAt.Location(); loc != time.UTC {
				e.t.Errorf("createdAt is in %v; want UTC", loc)
			}
			e.reopen()
			e.equal(want, e.tenant("acme"), "what Tenant returns after a restart (G7)")
		}},
		{"TakesNothingElseOfTheRecord_G1", func(e *env) {
			got, err := e.s.Create(e.ctx(), store.Tenant{
				ID: "acme", Status: store.StatusDisabled, Version: 9, CreatedAt: t0.Add(-day), UpdatedAt: t0.Add(-day),
				DisabledAt: t0.Add(-30 * day), PurgeAfterDays: 10, EstimatedPurgeDate: t0.Add(-20 * day), DisabledBy: alice,
				Hold: &store.Hold{Reason: "r"}, Block: &store.Block{Reason: store.BlockHold, By: "acme"}, Purge: &store.Progress{PurgeID: "p"},
			}, by(t0))
			if err != nil {
				e.t.Fatalf("Create: %v", err)
			}
			e.equal(store.Tenant{ID: "acme", Status: store.StatusActive, Version: 1, CreatedAt: t0, UpdatedAt: t0}, got, "the tenant")
		}},
		{"TakesAChildBelowAnActiveParent", func(e *env) {
			e.createAll("root", "child<root", "grandchild<child")
			if got := e.tenant("grandchild").ParentID; got != "child" {
				e.t.Errorf("parent %q; want child", got)
			}
		}},
		{"RefusesWhatIsInvalid", createRefusesInvalid},
		{"RefusesAnIDInUse", func(e *env) {
			e.create("active", "")
			e.disabled("disabled", "")
			e.disabled("purging", "")
			e.claim("purging", due10)
			e.changesNothing("a refused creation", func() {
				for _, id := range []string{"active", "disabled", "purging"} {
					_, err := e.s.Create(e.ctx(), store.Tenant{ID: id}, by(due10))
					e.wantCode(err, store.Conflict, "Create of a tenant that is "+id)
				}
				_, err := e.s.Create(e.ctx(), store.Tenant{ID: "disabled", ParentID: "active"}, by(due10))
				e.wantCode(err, store.Conflict, "Create of a root again, below another")
			})
		}},
		{"NeverGivesAnIDAgain", func(e *env) {
			e.disabled("root", "")
			e.createAll("other")
			e.disabled("top", "other")
			// A descendant has to be there before its ancestor is disabled.
			e.update("top", t0, store.Reactivate())
			e.create("below", "top")
			e.deactivate("top", t0, 10)
			e.purge("root", due10, inline)
			e.purge("top", due10)
			for range 2 {
				for _, id := range []string{"root", "top", "below"} {
					_, err := e.s.Create(e.ctx(), store.Tenant{ID: id}, by(due10))
					e.wantCode(err, store.Gone, fmt.Sprintf("Create(%q) after its purge", id))
					_, err = e.s.Create(e.ctx(), store.Tenant{ID: id, ParentID: "other"}, by(due10))
					e.wantCode(err, store.Gone, fmt.Sprintf("Create(%q) elsewhere after its purge", id))
				}
				e.reopen()
			}
		}},
		{"RefusesAParentThatIsUnknownOrPurged", func(e *env) {
			e.disabled("purged", "")
			e.purge("purged", due10)
			e.changesNothing("a refused creation", func() {
				_, err := e.s.Create(e.ctx(), store.Tenant{ID: "child", ParentID: "nobody"}, by(due10))
				e.wantField(err, store.NotFound, "parentId", "Create below an unknown parent")
				_, err = e.s.Create(e.ctx(), store.Tenant{ID: "child", ParentID: "purged"}, by(due10))
				e.wantCode(err, store.Gone, "Create below a purged parent")
			})
		}},
		{"RefusesBelowADisabledAncestor_G1", func(e *env) {
			e.createAll("root", "child<root", "grandchild<child")
			e.deactivate("root", t0, 10)
			e.changesNothing("a refused creation", func() {
				for _, parent := range []string{"root", "child", "grandchild"} {
					_, err := e.s.Create(e.ctx(), store.Tenant{ID: "late", ParentID: parent}, by(t0))
					e.wantCode(err, store.Precondition, fmt.Sprintf("Create below %q with a disabled root", parent))
				}
			})
			e.update("root", t0, store.Reactivate())
			e.create("late", "grandchild")
		}},
		{"RefusesBelowAPurgingOrFailedAncestor_G2", func(e *env) {
			e.createAll("root", "child<root")
			e.deactivate("root", t0, 10)
			tok := e.claim("root", due10).Token
			below := func(state string) {
				for _, parent := range []string{"root", "child"} {
					_, err := e.s.Create(e.ctx(), store.Tenant{ID: "late", ParentID: parent}, by(due10))
					e.wantCode(err, store.Precondition, fmt.Sprintf("Create below %q of a tree that is %s", parent, state))
				}
			}
			below("purging")
			e.postpone(tok, due10, time.Time{})
			below("failed")
		}},
		{"WritesOneAuditEntry_G8", func(e *env) {
			e.create("acme", "")
			entries := e.entries(0)
			if len(entries) != 1 {
				e.t.Fatalf("%d audit entries; want 1", len(entries))
			}
			got := entries[0]
			if got.Seq != 1 || got.Action != store.ActionCreate || got.TenantID != "acme" || got.Actor != "alice" || !got.At.Equal(t0) ||
				got.FromVersion != 0 || got.ToVersion != 1 || got.FromStatus != "" || got.ToStatus != store.StatusActive {
				e.t.Errorf("entry %+v", got)
			}
		}},
	}
}

func createRefusesInvalid(e *env) {
	e.create("root", "")
	e.changesNothing("a refused creation", func() {
		for _, c := range []struct {
			field string
			t     store.Tenant
		}{
			{"id", store.Tenant{}},
			{"id", store.Tenant{ID: "../etc/passwd"}},
			{"id", store.Tenant{ID: "a b"}},
			{"id", store.Tenant{ID: strings.Repeat("a", store.MaxIDLength+1)}},
			{"id", store.Tenant{ID: "a\x00b"}},
			{"parentId", store.Tenant{ID: "a", ParentID: "'; DROP TABLE tenants"}},
			{"parentId", store.Tenant{ID: "a", ParentID: "a"}},
			{"name", store.Tenant{ID: "a", Name: "a\x1b[31m"}},
			{"name", store.Tenant{ID: "a", Name: strings.Repeat("x", store.MaxNameLength+1)}},
			{"hostname", store.Tenant{ID: "a", Hostname: "http://a.example/"}},
			{"activeSubscriptions", store.Tenant{ID: "a", ActiveSubscriptions: -1}},
		} {
			_, err := e.s.Create(e.ctx(), c.t, by(t0))
			e.wantField(err, store.Invalid, c.field, fmt.Sprintf("Create(%+.80v)", c.t))
		}
	})
	longest := store.Tenant{ID: strings.Repeat("z", store.MaxIDLength), ParentID: "root", Name: strings.Repeat("x", store.MaxNameLength)}
	if _, err := e.s.Create(e.ctx(), longest, by(t0)); err != nil {
		e.t.Errorf("Create with the longest id and name: %v", err)
	}
}
