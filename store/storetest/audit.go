package storetest

import (
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func auditCases() []testCase {
	return []testCase{
		{"NumbersBeginAt1AndHaveNoGap_G8", func(e *env) {
			if got := e.entries(0); len(got) != 0 {
				e.t.Fatalf("a new store has the entries %+v", got)
			}
			if got := e.stats(t0).AuditHead; got != (store.AuditRef{}) {
				e.t.Errorf("a new store has the audit head %+v", got)
			}
			e.trees(3, 2)
			for i, x := range e.entries(0) {
				if x.Seq != uint64(i+1) {
					e.t.Fatalf("entry %d has the number %d", i+1, x.Seq)
				}
			}
		}},
		{"IsReadInPages", func(e *env) {
			for i := range 10 {
				e.create(fmt.Sprintf("t%d", i), "")
			}
			all := e.entries(0)
			for _, c := range []struct {
				from  uint64
				limit int
				want  []store.Entry
			}{
				{1, 3, all[:3]}, {4, 3, all[3:6]}, {9, 3, all[8:]}, {10, 1, all[9:]}, {11, 3, nil}, {1 << 60, 3, nil}, {1, 100, all},
			} {
				got, err := e.s.Audit(e.ctx(), c.from, c.limit)
				if err != nil {
					e.t.Fatalf("Audit(%d, %d): %v", c.from, c.limit, err)
				}
				e.equal(c.want, got, fmt.Sprintf("Audit(%d, %d)", c.from, c.limit))
			}
		}},
		{"EveryChangeOfStateHasItsEntryAndTheChainHolds_G8", auditLife},
		{"TheChainGoesOnAfterARestart_G8", func(e *env) {
			e.create("before", "")
			head := e.stats(t0).AuditHead
			e.reopen()
			if got := e.stats(t0).AuditHead; got != head {
				e.t.Errorf("the head is %+v after a restart; want %+v", got, head)
			}
			e.create("after", "")
			got := e.entries(head.Seq)
			if len(got) != 1 || got[0].PrevHash != head.Hash {
				e.t.Errorf("the entry after a restart is %+v; want it chained to %+v", got, head)
			}
		}},
		{"NothingAtATimeThatCannotBe_G8", auditImpossible},
		{"ReadsAndRefusalsWriteNothing_G8", func(e *env) {
			e.disabled("acme", "")
			head := e.head()
			e.snapshot()
			e.assess("acme", due10)
			_, err := e.tryClaim("acme", t0)
			e.wantCode(err, store.Precondition, "an early claim")
			_, err = e.tryUpdate("acme", t0, store.Retry())
			e.wantCode(err, store.Precondition, "a retry")
			_, err = e.s.Create(e.ctx(), store.Tenant{ID: "acme"}, by(t0))
			e.wantCode(err, store.Conflict, "a second creation")
			if got := e.entries(head); len(got) != 0 {
				e.t.Errorf("reads and refusals wrote %+v", got)
			}
		}},
	}
}

// auditLife leads one tenant through its life and compares the actions on
// record.
func auditLife(e *env) {
	steps := []struct {
		want []store.Action
		do   func()
	}{
		{[]store.Action{store.ActionCreate}, func() { e.create("acme", "") }},
		{[]store.Action{store.ActionEdit}, func() { e.subscribe("acme", 1) }},
		{[]store.Action{store.ActionHold}, func() { e.update("acme", t0, store.SetHold("r", time.Time{})) }},
		{[]store.Action{store.ActionDeactivate}, func() { e.deactivate("acme", t0, 10) }},
		{[]store.Action{store.ActionReactivate}, func() { e.update("acme", t0, store.Reactivate()) }},
		{[]store.Action{store.ActionDeactivate}, func() { e.deactivate("acme", t0, 10) }},
		{[]store.Action{store.ActionBlock}, func() { _, _ = e.tryClaim("acme", due10) }},
		{[]store.Action{store.ActionRelease}, func() { e.update("acme", t0, store.Release()) }},
		{[]store.Action{store.ActionEdit}, func() { e.subscribe("acme", 0) }},
		{[]store.Action{store.ActionPause}, func() { e.changeGates(t0, store.PausePurging("r", time.Time{})) }},
		{[]store.Action{store.ActionUnpause}, func() { e.changeGates(t0, store.ResumePurging("", 0)) }},
		{[]store.Action{store.ActionClaim}, func() { e.claim("acme", due10) }},
		{[]store.Action{store.ActionResume}, func() { e.resume("acme", due10.Add(lease)) }},
		{[]store.Action{store.ActionPostpone}, func() {
			e.postpone(store.Token{TenantID: "acme", Fence: e.tenant("acme").Purge.Fence}, due10, due10)
		}},
		{[]store.Action{store.ActionResume}, func() { e.resume("acme", due10) }},
		{[]store.Action{store.ActionFail}, func() {
			e.postpone(store.Token{TenantID: "acme", Fence: e.tenant("acme").Purge.Fence}, due10, time.Time{})
		}},
		{[]store.Action{store.ActionRetry}, func() { e.update("acme", due10, store.Retry()) }},
		{[]store.Action{store.ActionResume, store.ActionPurge}, func() { e.finish(e.resume("acme", due10).Token, due10) }},
	}
	for i, step := range steps {
		head := e.head()
		step.do()
		var got []store.Action
		for _, x := range e.entries(head) {
			got = append(got, x.Action)
			if x.TenantID != "acme" && x.Action != store.ActionPause && x.Action != store.ActionUnpause {
				e.t.Errorf("step %d: an entry of tenant %q", i, x.TenantID)
			}
			if x.Actor == "" || x.At.IsZero() {
				e.t.Errorf("step %d: %+v says neither who nor when", i, x)
			}
		}
		e.equal(step.want, got, fmt.Sprintf("actions of step %d", i))
	}
	if err := verifyAudit(e.ctx(), e.s); err != nil {
		e.t.Error(err)
	}
}

// impossible returns times that only a broken clock reads; 1970 is what a
// machine without a battery begins with.
func impossible() []time.Time {
	return []time.Time{
		time.Unix(10, 0), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(292277026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

// auditImpossible offers changes at such times. An entry that could be written
// and not be read again would make the whole trail worthless.
func auditImpossible(e *env) {
	e.createAll("active", "other")
	e.disabled("due", "")
	e.disabled("claimed", "")
	tok := e.claim("claimed", due10).Token
	e.changesNothing("a change at an impossible time", func() {
		for _, at := range append(impossible(), time.Time{}) {
			refused := func(what string, err error) {
				e.t.Helper()
				e.wantCode(err, store.Unavailable, fmt.Sprintf("%s at %v", what, at))
			}
			_, err := e.s.Create(e.ctx(), store.Tenant{ID: "new"}, by(at))
			refused("Create", err)
			name := "New"
			_, err = e.tryUpdate("active", at, store.Edit(&name, nil, nil))
			refused("Edit", err)
			_, err = e.tryUpdate("active", at, store.SetHold("r", time.Time{}))
			refused("SetHold", err)
			_, err = e.s.ChangeGates(e.ctx(), store.PausePurging("r", time.Time{}), by(at))
			refused("ChangeGates", err)
			_, err = e.tryClaim("due", at, inline)
			refused("Claim", err)
			_, err = e.tryClaim("due", at, immediate)
			refused("an immediate Claim", err)
			_, err = e.tryResume("claimed", at)
			refused("Resume", err)
			refused("Record", e.s.Record(e.ctx(), tok, store.Advance{At: at, Lease: lease}))
			_, err = e.s.Erase(e.ctx(), tok, at, lease)
			refused("Erase", err)
			_, err = e.s.Finish(e.ctx(), tok, store.Verification{At: at})
			refused("Finish", err)
			_, err = e.s.Postpone(e.ctx(), tok, store.Failure{At: at, Err: errDown, Next: due10})
			refused("Postpone", err)
			refused("Yield", e.s.Yield(e.ctx(), tok, at))
			refused("Await", e.s.Await(e.ctx(), tok, store.Wait{At: at, Until: due10}))
			if imp, ok := e.s.(store.Importer); ok {
				_, err = imp.ImportBatch(e.ctx(), store.Batch{Tenants: []store.Tenant{{ID: "new", Status: store.StatusActive}}}, by(at))
				refused("ImportBatch", err)
				refused("BeginImport", imp.BeginImport(e.ctx(), store.Import{Digest: "d"}, by(at)))
			}
		}
	})
}
