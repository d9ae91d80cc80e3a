package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
)

func evidenceCases() []testCase {
	return []testCase{
		{"TheReceiptSaysWhatWasPromisedAndDone_G8", evidenceReceipt},
		{"OneReceiptForTheTopAndEveryDescendant", func(e *env) {
			e.createAll("root", "top<root", "a<top", "b<a")
			e.deactivate("top", t0, 10)
			want := e.purge("top", due10)
			for range 2 {
				for _, id := range []string{"top", "a", "b"} {
					got, err := e.s.Receipt(e.ctx(), id)
					if err != nil {
						e.t.Fatalf("Receipt(%q): %v", id, err)
					}
					e.equal(want, got, fmt.Sprintf("receipt of %q", id))
				}
				e.reopen()
			}
		}},
		{"NoReceiptOfAKeptTenant", func(e *env) {
			e.createAll("active", "top", "child<top")
			e.deactivate("top", t0, 10)
			refused := func(ids ...string) {
				for _, id := range ids {
					_, err := e.s.Receipt(e.ctx(), id)
					e.wantCode(err, store.Precondition, fmt.Sprintf("Receipt(%q)", id))
				}
			}
			refused("active", "top", "child")
			tok := e.claim("top", due10).Token
			refused("top", "child")
			e.eraseAll(tok, due10)
			refused("top", "child")
		}},
		{"TheReceiptIsAnchoredInTheAuditTrail_G8", func(e *env) {
			e.createAll("root", "top<root", "child<top", "other")
			e.deactivate("top", t0, 10)
			e.deactivate("other", t0, 10)
			e.fillIfHeld("child", 2)
			receipts := []store.Receipt{e.purge("top", due10), e.purge("other", due10, inline)}
			e.create("later", "")
			for _, r := range receipts {
				e.wantAnchored(r)
			}
			e.reopen()
			for _, r := range receipts {
				e.wantAnchored(r)
			}
		}},
		{"TombstonesHoldIDsDatesAndCountsAlone", evidenceTombstones},
		{"NoTraceOfAPersonIsLeft_G8", evidenceNoTrace},
		{"IdsOfPurgesAreUnique", func(e *env) {
			e.trees(6, 1)
			seen := map[string]string{}
			for i := range 6 {
				id := fmt.Sprintf("t%d", i)
				if i == 3 {
					e.reopen()
				}
				edits := []func(*store.ClaimRequest){inline}
				r := e.purge(id, due10, edits[:i%2]...)
				if was, ok := seen[r.ID]; ok || r.ID == "" {
					e.t.Errorf("the purge of %q has the id %q, that of %q", id, r.ID, was)
				}
				seen[r.ID] = id
			}
		}},
	}
}

func evidenceReceipt(e *env) {
	e.createAll("root", "top<root", "child<top")
	e.deactivate("top", t0.Add(time.Hour), 15)
	embedded := e.fillIfHeld("top", 1).Plus(e.fillIfHeld("child", 2))
	date := t0.Add(time.Hour + 15*day)
	c := e.claim("top", date.Add(time.Minute), func(r *store.ClaimRequest) { r.Trigger = "signal" })
	// Two targets, the second one with an empty answer as well.
	for _, a := range []store.Advance{
		{Target: "ldap", Planned: store.Counts{Users: 4}}, {Target: "ldap", Deleted: store.Counts{Users: 3}}, {Target: "ldap", Deleted: store.Counts{Users: 1}},
		{Target: "scim", Planned: store.Counts{APIKeys: 2}, Deleted: store.Counts{APIKeys: 2, Credentials: 1}},
	} {
		a.At, a.Lease = date.Add(2*time.Minute), lease
		e.record(c.Token, a)
	}
	done := date.Add(3 * time.Minute)
	got := e.finish(c.Token, done.Add(999*time.Microsecond))
	planned, deleted := embedded, embedded
	planned.Users, planned.APIKeys, planned.SubTenants = planned.Users+4, planned.APIKeys+2, 1
	deleted.Users, deleted.APIKeys, deleted.Credentials, deleted.SubTenants = deleted.Users+4, deleted.APIKeys+2, deleted.Credentials+1, 1
	stamp := func(t time.Time) store.Timestamp { return store.Timestamp{Time: t} }
	want := store.Receipt{
		ID: c.Tenant.Purge.PurgeID, TenantID: "top", ParentID: "root", Tenants: []string{"child", "top"},
		DisabledAt: stamp(t0.Add(time.Hour)), PurgeAfterDays: 15, EstimatedPurgeDate: stamp(date), DisabledBy: "alice",
		ClaimedAt: stamp(date.Add(time.Minute)), ClaimedBy: "system", Trigger: "signal", DeletedAt: stamp(done),
		Planned: planned, Deleted: deleted,
		Targets: map[string]store.Counts{"ldap": {Users: 4}, "scim": {APIKeys: 2, Credentials: 1}}, CountsExact: true,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Receipt{}, "Audit"), cmpopts.EquateEmpty()); diff != "" {
		e.t.Errorf("receipt (want -, got +):\n%s", diff)
	}
	e.wantAnchored(got)

	e.disabled("crashed", "")
	tok := e.claim("crashed", due10).Token
	e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Inexact: true})
	e.record(tok, store.Advance{At: due10, Lease: lease, Target: "ldap", Deleted: store.Counts{Users: 1}})
	if r := e.finish(tok, due10); r.CountsExact {
		e.t.Error("the receipt calls counts exact after an inexact report (G5)")
	}
}

// wantAnchored fails the case unless the receipt's audit reference is the entry
// of its purge and that entry holds its digest.
func (e *env) wantAnchored(r store.Receipt) {
	e.t.Helper()
	got, err := e.s.Receipt(e.ctx(), r.TenantID)
	if err != nil {
		e.t.Fatalf("Receipt(%q): %v", r.TenantID, err)
	}
	e.equal(r, got, "the receipt as read again")
	entries, err := e.s.Audit(e.ctx(), r.Audit.Seq, 1)
	if err != nil || len(entries) != 1 {
		e.t.Fatalf("Audit(%d): %d entries, %v", r.Audit.Seq, len(entries), err)
	}
	x := entries[0]
	if x.Seq != r.Audit.Seq || x.Hash != r.Audit.Hash || x.Action != store.ActionPurge || x.TenantID != r.TenantID || x.Actor != r.ClaimedBy ||
		!x.At.Equal(r.DeletedAt.Time) || x.ToStatus != store.StatusDeleted || x.Counts == nil || *x.Counts != r.Deleted {
		e.t.Errorf("the receipt %+v points at %+v", r, x)
	}
	if x.Detail["receiptSha256"] != r.Digest() {
		e.t.Errorf("the entry has receiptSha256 %q; the receipt's digest is %q", x.Detail["receiptSha256"], r.Digest())
	}
}

func evidenceTombstones(e *env) {
	e.createAll("root", "top<root", "plain<top", "own<top")
	e.deactivate("own", t0.Add(time.Minute), 5)
	e.deactivate("top", t0, 10)
	own := map[string]store.Counts{"top": e.fillIfHeld("top", 1), "plain": e.fillIfHeld("plain", 2), "own": {}}
	versions := map[string]int64{}
	for id := range own {
		versions[id] = e.tenant(id).Version
	}
	at := due10.Add(time.Minute)
	e.purge("top", at)
	stamp := func(t time.Time) store.Timestamp { return store.Timestamp{Time: t} }
	for _, want := range []store.Tombstone{
		{ID: "top", ParentID: "root", DisabledAt: stamp(t0)},
		{ID: "plain", ParentID: "top"},
		{ID: "own", ParentID: "top", DisabledAt: stamp(t0.Add(time.Minute))},
	} {
		want.PurgedWith, want.CreatedAt, want.DeletedAt, want.Deleted = "top", stamp(t0), stamp(at), own[want.ID]
		got, err := e.s.Tombstone(e.ctx(), want.ID)
		if err != nil {
			e.t.Fatalf("Tombstone(%q): %v", want.ID, err)
		}
		if got.Version <= versions[want.ID] {
			e.t.Errorf("tombstone of %q: version %d; want one above %d, that of before the purge", want.ID, got.Version, versions[want.ID])
		}
		want.Version = got.Version
		e.equal(want, got, fmt.Sprintf("tombstone of %q", want.ID))
	}
}

// evidenceNoTrace looks for names, addresses, host names and data in all that
// remains, in every form that the store gives it out.
func evidenceNoTrace(e *env) {
	e.createAll("top", "child<top")
	e.fillIfHeld("child", 3)
	e.update("child", t0, store.SetHold("Secretname has sued", t0.Add(time.Hour)))
	e.deactivate("top", t0, 10)
	e.deactivate("child", t0, 10)
	e.purge("top", due10)
	sn := e.snapshot()
	for what, v := range map[string]any{"tombstones": sn.Tombstones, "receipts": sn.Receipts, "audit": sn.Audit} {
		b, err := json.Marshal(v)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, trace := range []string{"Secretname of", "secret.example", "secret.", "Alice", "@"} {
			if i := strings.Index(string(b), trace); i >= 0 {
				e.t.Errorf("the %s hold %q: ...%.120s", what, trace, string(b)[max(0, i-40):])
			}
		}
	}
}
