package storetest

import (
	"time"

	"github.com/tenantpurge/purger/store"
)

func gatesCases() []testCase {
	return []testCase{
		{"AreOpenAtFirst", func(e *env) { e.equal(store.Gates{}, e.gates(), "the gates of a new store") }},
		{"APauseStopsClaimAndResume", func(e *env) {
			e.disabled("due", "")
			e.disabled("waiting", "")
			e.postpone(e.claim("waiting", due10).Token, due10, due10)
			head := e.head()
			e.changeGates(due10, store.PausePurging("maintenance", time.Time{}))
			entries := e.entries(head)
			if len(entries) != 1 || entries[0].Action != store.ActionPause || entries[0].Actor != "alice" || entries[0].Detail["reason"] != "maintenance" {
				e.t.Errorf("a pause wrote %+v; want one pause entry with its reason", entries)
			}
			stopped := func() {
				e.t.Helper()
				e.changesNothing("a refusal", func() {
					_, err := e.tryClaim("due", farFuture)
					e.wantGate(err, store.GatePaused, "Claim")
					_, err = e.tryClaim("due", farFuture, immediate, inline)
					e.wantGate(err, store.GatePaused, "an immediate claim")
					_, err = e.tryResume("waiting", farFuture)
					e.wantGate(err, store.GatePaused, "Resume")
				})
			}
			stopped()
			e.reopen()
			want := &store.Pause{Reason: "maintenance", Actor: alice, Since: store.Timestamp{Time: due10}}
			e.equal(want, e.gates().Pause, "the pause after a restart")
			stopped()
			e.changeGates(due10, store.ResumePurging("", 0))
			e.equal(store.Gates{}, e.gates(), "the gates after the pause")
			e.claim("due", due10)
			e.resume("waiting", due10)
		}},
		{"APauseWithAnEndLiftsItself", func(e *env) {
			e.disabled("acme", "")
			until := due10.Add(time.Hour)
			e.changeGates(due10, store.PausePurging("maintenance", until))
			_, err := e.tryClaim("acme", until.Add(-time.Millisecond))
			e.wantGate(err, store.GatePaused, "1 ms before the end")
			e.claim("acme", until)
		}},
		{"AnEndInTheFarthestFuture", func(e *env) {
			// What people write for "for ever" must not make the store unreadable.
			e.createAll("acme")
			for _, until := range []time.Time{
				time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2999, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
			} {
				_, pauseErr := e.s.ChangeGates(e.ctx(), store.PausePurging("for ever", until), by(t0))
				_, holdErr := e.tryUpdate("acme", t0, store.SetHold("for ever", until))
				e.reopen()
				if g := e.gates(); pauseErr == nil && (g.Pause == nil || !g.Pause.Until.Equal(until)) {
					e.t.Errorf("paused until %v; kept is %+v", until, g.Pause)
				}
				if h := e.tenant("acme").Hold; holdErr == nil && (h == nil || !h.Until.Equal(until)) {
					e.t.Errorf("on hold until %v; kept is %+v", until, h)
				}
			}
			e.changeGates(t0, store.ResumePurging("", 0))
			e.deactivate("acme", t0, 10)
			if e.tenant("acme").Hold != nil {
				_, err := e.tryClaim("acme", due10)
				e.wantBlocked(err, "acme", store.BlockHold, "acme")
				e.reopen()
				e.tenant("acme")
			}
		}},
		{"APauseDoesNotStopWorkUnderWay", func(e *env) {
			e.disabled("acme", "")
			tok := e.claim("acme", due10).Token
			e.changeGates(due10, store.PausePurging("maintenance", time.Time{}))
			e.record(tok, store.Advance{At: due10, Lease: lease})
			e.finish(tok, due10)
			e.wantGone("acme")
		}},
		{"NoGateStopsAPersonFromCancelling_G2", func(e *env) {
			e.disabled("acme", "")
			e.changeGates(t0, store.PausePurging("maintenance", time.Time{}))
			e.update("acme", due10, store.Reactivate())
			e.update("acme", due10, store.Deactivate(10, store.Grace{}, nil))
			e.create("other", "")
		}},
		{"RefusedChangesChangeNothing", func(e *env) {
			e.changeGates(t0, store.PausePurging("first", t0.Add(time.Hour)))
			e.changesNothing("a refused change of the gates", func() {
				for field, c := range map[string]store.GateChange{
					"reason": store.PausePurging("", time.Time{}), "until": store.PausePurging("r", t0), "allow": store.ResumePurging("r", -1),
				} {
					_, err := e.s.ChangeGates(e.ctx(), c, by(t0))
					e.wantField(err, store.Invalid, field, string(c.Action))
				}
			})
		}},
		{"PausingAgainReplacesThePause", func(e *env) {
			e.changeGates(t0, store.PausePurging("first", t0.Add(time.Hour)))
			e.changeGates(t0.Add(time.Minute), store.PausePurging("second", time.Time{}))
			want := &store.Pause{Reason: "second", Actor: alice, Since: store.Timestamp{Time: t0.Add(time.Minute)}}
			e.equal(want, e.gates().Pause, "the pause")
		}},
		{"AnImportStopsClaimsAndNotResumptions", func(e *env) {
			imp := e.importer()
			e.disabled("due", "")
			e.disabled("waiting", "")
			e.postpone(e.claim("waiting", due10).Token, due10, due10)
			if err := imp.BeginImport(e.ctx(), store.Import{Digest: "d", Since: store.Timestamp{Time: due10}}, by(due10)); err != nil {
				e.t.Fatalf("BeginImport: %v", err)
			}
			_, err := e.tryClaim("due", farFuture)
			e.wantGate(err, store.GateImport, "Claim")
			_, err = e.tryClaim("due", farFuture, immediate)
			e.wantGate(err, store.GateImport, "an immediate claim")
			e.finish(e.resume("waiting", due10).Token, due10)
			// A person's resume completes no import.
			e.changeGates(due10, store.ResumePurging("let it go", 10))
			_, err = e.tryClaim("due", farFuture)
			e.wantGate(err, store.GateImport, "Claim after a resume")
		}},
		{"TheMostSeriousIsReported", func(e *env) {
			imp := e.importer()
			e.trees(2, 1)
			e.purge("t0", due10)
			try := func() error { _, err := e.tryClaim("t1", due10, limits(store.Limits{PerDay: 1})); return err }
			e.wantHalted(try(), "limits.perDay")
			if err := imp.BeginImport(e.ctx(), store.Import{Digest: "d"}, by(due10)); err != nil {
				e.t.Fatalf("BeginImport: %v", err)
			}
			e.changeGates(due10, store.PausePurging("maintenance", time.Time{}))
			e.wantGate(try(), store.GateHalted, "halted, importing and paused")
			e.changeGates(due10, store.ResumePurging("checked", 0))
			e.changeGates(due10, store.PausePurging("maintenance", time.Time{}))
			e.wantGate(try(), store.GateImport, "importing and paused")
			if err := imp.EndImport(e.ctx(), by(due10)); err != nil {
				e.t.Fatalf("EndImport: %v", err)
			}
			e.wantGate(try(), store.GatePaused, "paused")
		}},
	}
}
