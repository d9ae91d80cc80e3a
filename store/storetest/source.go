package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

func sourceCases() []testCase {
	return []testCase{
		{"BeginsWithNothing", func(e *env) {
			e.equal(store.SourceState{}, e.sourceState(), "the state of a new store")
			for _, kind := range store.MarkKinds() {
				e.wantMarks(kind)
			}
		}},
		{"IsKeptAsItIs", sourceKept},
		{"ChangesWithItsAuditEntryOrNotAtAll_G8", sourceAudited},
		{"MarksAreKeptInOrderAndCounted", sourceMarks},
		{"MarksSayForWhomAndAreFoundById", sourceMarksOf},
		{"MarksThatCannotBeKeptAreRefused", sourceRefused},
		{"NoMoreDeadLettersAreKeptThanMayBe", sourceDeadLetters},
		{"OfManyRefusedSyncsOnlyTheLastIsAccepted", sourceAccepted},
		{"SaysWhatATenantIsWhateverItsAncestorsAre", sourceAdopted},
		{"SaysNothingOfWhatIsPastThePointOfReturn_G2", sourceAdoptsNoPurge},
		{"ConfirmsMilderThanItSaysOnlyWhatPutsAPurgeOff_G1", sourceMilder},
		{"ABlockOfItsOwnIsKeptAndCounted", sourceBlocks},
	}
}

// refused puts a refused sync on record.
func refused(digest string) store.SourceChange {
	return store.SourceChange{Action: store.ActionSourceRefuse, Apply: func(s *store.SourceState, _ store.Origin) (map[string]string, error) {
		s.LastRefused = &store.Sync{Result: store.SyncRefused, Digest: digest}
		return map[string]string{"digest": digest}, nil
	}}
}

func sourceKept(e *env) {
	at := store.Timestamp{Time: t0}
	sync := store.Sync{
		StartedAt: at, FinishedAt: store.Timestamp{Time: t0.Add(time.Second)}, Result: store.SyncGood, Digest: "abc",
		Counts: store.SyncCounts{Rows: 15, Kept: 14, New: 1, Changed: 2, Reactivated: 3, Later: 4, Disabled: 5, Sooner: 6, Due: 7,
			Unchanged: 8, Rejected: 9, Vanished: 10, Purging: 11, Purged: 12, Unplaced: 13, TooLate: 14, Overruled: 15},
	}
	refused, failed := sync, sync
	refused.Result, refused.Why, failed.Result, failed.Why = store.SyncRefused, "too much", store.SyncFailed, "no answer"
	want := store.SourceState{
		Name: "pg", LastGood: &sync, LastRefused: &refused, LastFailed: &failed,
		Accepted:    &store.Acceptance{Digest: "abc", By: "alice", At: at, Begun: true},
		DeadLetters: []store.DeadLetter{{Row: 3, ID: "x", Reason: "no date"}},
	}
	got := e.changeSource(store.SourceChange{Apply: func(s *store.SourceState, _ store.Origin) (map[string]string, error) {
		*s = want
		s.Vanished, s.Unread = 99, 99 // the store counts
		return nil, nil
	}})
	e.equal(want, got, "the state")
	e.reopen()
	e.equal(want, e.sourceState(), "the state after a restart")
}

func sourceAudited(e *env) {
	head := e.head()
	e.changeSource(refused("0123456789abcdef"))
	e.wantStep(head, store.ActionSourceRefuse, "alice", "", map[string]string{"digest": "0123456789abcdef"})
	head = e.head()
	e.changeSource(store.SourceChange{Action: store.ActionSync, Kind: store.MarkVanished, Mark: []store.SourceMark{{ID: "a", At: store.Timestamp{Time: t0}}}})
	e.wantStep(head, store.ActionSync, "alice", "", nil)
	for what, c := range map[string]store.SourceChange{
		"the same again": refused("0123456789abcdef"),
		"the same marks": {Action: store.ActionSync, Kind: store.MarkVanished, Mark: []store.SourceMark{{ID: "a", At: store.Timestamp{Time: t0}}}, Unmark: []string{"b"}},
	} {
		e.changesNothing(what, func() { e.changeSource(c) })
	}
	e.changesNothing("a refused change", func() {
		_, err := e.sources().ChangeSource(e.ctx(), store.SourceChange{
			Action: store.ActionSync, Kind: store.MarkVanished, Mark: []store.SourceMark{{ID: "b", At: store.Timestamp{Time: t0}}},
			Apply: func(s *store.SourceState, _ store.Origin) (map[string]string, error) {
				s.Name = "changed"
				return nil, store.Errorf(store.Conflict, "no")
			},
		}, by(t0))
		e.wantCode(err, store.Conflict, "ChangeSource")
	})
	head = e.head()
	e.changeSource(store.SourceChange{Apply: func(s *store.SourceState, _ store.Origin) (map[string]string, error) { s.Name = "pg"; return nil, nil }})
	if got := e.entries(head); len(got) != 0 {
		e.t.Errorf("a change without an action left entries %+v", got)
	}
}

func sourceMarks(e *env) {
	mark := func(kind store.MarkKind, at time.Time, ids ...string) {
		c := store.SourceChange{Kind: kind}
		for _, id := range ids {
			c.Mark = append(c.Mark, store.SourceMark{ID: id, At: store.Timestamp{Time: at}})
		}
		e.changeSource(c)
	}
	mark(store.MarkVanished, t0, "b", "a", "ab")
	mark(store.MarkAllowed, time.Time{}, "b", "z")
	mark(store.MarkAllowed, due10, "c")
	mark(store.MarkVanished, t0.Add(time.Hour), "b") // replaced, not counted twice
	mark(store.MarkTooLate, t0, "d", "a")
	for range 2 {
		e.wantMarks(store.MarkTooLate, "a", "d")
		e.wantMarks(store.MarkUnread)
		e.wantMarks(store.MarkVanished, "a", "ab", "b")
		e.wantMarks(store.MarkAllowed, "b", "c", "z")
		if n := e.sourceState().Vanished; n != 3 {
			e.t.Errorf("%d vanished; want 3", n)
		}
		e.reopen()
	}
	got, err := e.sources().SourceMarks(e.ctx(), store.MarkAllowed, "b", 1)
	e.must(err, "SourceMarks")
	e.equal([]store.SourceMark{{ID: "c", At: store.Timestamp{Time: due10}}}, got, "the second page of one")
	got, err = e.sources().SourceMarks(e.ctx(), store.MarkVanished, "ab", 0)
	e.must(err, "SourceMarks")
	e.equal([]store.SourceMark{{ID: "b", At: store.Timestamp{Time: t0.Add(time.Hour)}}}, got, "those after ab")
	e.changeSource(store.SourceChange{Kind: store.MarkVanished, Unmark: []string{"a", "b", "nobody"}})
	e.wantMarks(store.MarkVanished, "ab")
	e.wantMarks(store.MarkAllowed, "b", "c", "z")
	if n := e.sourceState().Vanished; n != 1 {
		e.t.Errorf("%d vanished; want 1", n)
	}
}

func sourceMarksOf(e *env) {
	at := store.Timestamp{Time: t0}
	bare, child := store.SourceMark{ID: "b", At: at}, store.SourceMark{ID: "a", At: at, By: "a.1"}
	e.changeSource(store.SourceChange{Kind: store.MarkUnread, Mark: []store.SourceMark{child, bare}})
	e.changeSource(store.SourceChange{Kind: store.MarkVanished, Mark: []store.SourceMark{{ID: "c", At: at}}})
	want := func(n int64, list ...store.SourceMark) {
		e.t.Helper()
		got, err := e.sources().SourceMarksOf(e.ctx(), store.MarkUnread, []string{"b", "nobody", "c", "", "a"})
		e.must(err, "SourceMarksOf")
		e.equal(list, got, "the marks of some")
		if st := e.sourceState(); st.Unread != n || st.Vanished != 1 {
			e.t.Errorf("%d are unread, %d vanished; want %d and 1", st.Unread, st.Vanished, n)
		}
	}
	for range 2 {
		want(2, bare, child)
		e.reopen()
	}
	child.By = "a.2"
	e.changeSource(store.SourceChange{Kind: store.MarkUnread, Mark: []store.SourceMark{child}, Unmark: []string{"b", "c"}})
	want(1, child)
	e.wantMarks(store.MarkUnread, "a")
}

func sourceRefused(e *env) {
	many := make([]string, store.MaxPage+1)
	for i := range many {
		many[i] = fmt.Sprintf("t%d", i)
	}
	good := store.SourceMark{ID: "a", At: store.Timestamp{Time: t0}}
	e.changesNothing("a refused change", func() {
		for what, c := range map[string]store.SourceChange{
			"too many marks":         {Kind: store.MarkVanished, Mark: []store.SourceMark{good}, Unmark: many[1:]},
			"an unknown kind":        {Kind: "lost", Mark: []store.SourceMark{good}},
			"no kind":                {Unmark: []string{"a"}},
			"an id that is none":     {Kind: store.MarkAllowed, Mark: []store.SourceMark{good, {ID: "a/b"}}},
			"for an id that is none": {Kind: store.MarkUnread, Mark: []store.SourceMark{{ID: "a", At: good.At, By: "b/c"}}},
			"vanished, for somebody": {Kind: store.MarkVanished, Mark: []store.SourceMark{{ID: "a", At: good.At, By: "b"}}},
			"unread, and no time":    {Kind: store.MarkUnread, Mark: []store.SourceMark{{ID: "a", By: "b"}}},
			"vanished, and no time":  {Kind: store.MarkVanished, Mark: []store.SourceMark{good, {ID: "b"}}},
		} {
			_, err := e.sources().ChangeSource(e.ctx(), c, by(t0))
			e.wantCode(err, store.Invalid, what)
		}
	})
	_, err := e.sources().SourceMarks(e.ctx(), "lost", "", 1)
	e.wantCode(err, store.Invalid, "SourceMarks of an unknown kind")
	_, err = e.sources().SourceMarksOf(e.ctx(), "lost", []string{"a"})
	e.wantCode(err, store.Invalid, "SourceMarksOf an unknown kind")
	_, err = e.sources().SourceMarksOf(e.ctx(), store.MarkVanished, many)
	e.wantCode(err, store.Invalid, "SourceMarksOf too many")
}

func sourceDeadLetters(e *env) {
	st := e.changeSource(store.SourceChange{Apply: func(s *store.SourceState, _ store.Origin) (map[string]string, error) {
		for i := range store.MaxDeadLetters + 5 {
			s.DeadLetters = append(s.DeadLetters, store.DeadLetter{Row: int64(i) + 1, Reason: "bad"})
		}
		return nil, nil
	}})
	if n := len(st.DeadLetters); n != store.MaxDeadLetters || st.DeadLetters[0].Row != 1 {
		e.t.Errorf("%d dead letters are kept, from row %d", n, st.DeadLetters[0].Row)
	}
	e.equal(st, e.sourceState(), "what is kept")
}

func sourceAccepted(e *env) {
	const first, second = "0123456789abcdef", "fedcba9876543210"
	accept := func(digest string) error {
		_, err := e.sources().ChangeSource(e.ctx(), store.AcceptSync(digest), by(due10))
		return err
	}
	e.wantCode(accept(first), store.Conflict, "nothing is refused")
	e.changeSource(refused(first))
	e.changeSource(refused(second))
	e.changesNothing("what cannot be accepted", func() {
		e.wantCode(accept(first), store.Conflict, "the one before")
		e.wantField(accept(second[:11]), store.Invalid, "digest", "too short a digest")
		e.wantField(accept(""), store.Invalid, "digest", "no digest")
		e.wantField(accept(second+"0"), store.Conflict, "digest", "too long a digest")
	})
	head := e.head()
	e.must(accept(second[:12]), "AcceptSync")
	e.wantStep(head, store.ActionSourceAccept, "alice", "", map[string]string{"digest": second})
	want := &store.Acceptance{Digest: second, By: "alice", At: store.Timestamp{Time: due10}}
	e.equal(want, e.sourceState().Accepted, "the acceptance")
	e.changesNothing("accepting it again", func() { e.must(accept(second), "AcceptSync") })
}

// adopt makes the source say something of a tenant.
func (e *env) adopt(id string, a store.Adoption) store.Tenant {
	e.t.Helper()
	t, err := e.s.Update(e.ctx(), id, store.Update{Origin: store.Origin{Actor: crm, At: t0.Add(day)}, Change: store.Adopt(a)})
	e.must(err, "adopt")
	return t
}

// crm is a source, as an actor.
var crm = store.Actor{ID: store.SourceActorPrefix + "crm"}

func sourceAdopted(e *env) {
	e.createAll("acme", "acme.a<acme", "acme.b<acme.a")
	off := store.Adoption{Disabled: true, DisabledAt: t0.Add(-400 * day), PurgeAfterDays: 3} // shorter than people may choose
	e.adopt("acme", off)
	head := e.head()
	got := e.adopt("acme.b", off)
	want := t0.Add(-397 * day)
	if got.Status != store.StatusDisabled || !got.EstimatedPurgeDate.Equal(want) || got.DisabledBy != crm {
		e.t.Errorf("%+v; want it disabled until %v", got, want)
	}
	if es := e.entries(head); len(es) != 1 || es[0].Action != store.ActionDeactivate {
		e.t.Errorf("entries %+v; want one deactivation", es)
	}
	head = e.head()
	got = e.adopt("acme.b", store.Adoption{}) // below one that is disabled
	if got.Status != store.StatusActive || !got.EstimatedPurgeDate.IsZero() || !got.DisabledAt.IsZero() {
		e.t.Errorf("%+v; want it active", got)
	}
	if es := e.entries(head); len(es) != 1 || es[0].Action != store.ActionReactivate {
		e.t.Errorf("entries %+v; want one reactivation", es)
	}
	name, host := "Another", "another.example"
	head = e.head()
	got = e.adopt("acme.b", store.Adoption{Name: &name, Hostname: &host})
	if got.Name != name || got.Hostname != host || got.Status != store.StatusActive {
		e.t.Errorf("%+v; want the other names", got)
	}
	if es := e.entries(head); len(es) != 1 || es[0].Action != store.ActionEdit {
		e.t.Errorf("entries %+v; want one edit", es)
	}
	e.changesNothing("what is known already", func() {
		e.adopt("acme.b", store.Adoption{Name: &name, Hostname: &host})
		e.adopt("acme.b", store.Adoption{})
		e.adopt("acme", off)
	})
	_, err := e.tryUpdate("acme", t0, store.Adopt(store.Adoption{Disabled: true, PurgeAfterDays: 10}))
	e.wantCode(err, store.Invalid, "disabled without a date (G1)")
}

func sourceAdoptsNoPurge(e *env) {
	e.disabled("acme", "")
	e.claim("acme", due10)
	e.changesNothing("what a source says of a purge", func() {
		for _, a := range []store.Adoption{{}, {Milder: true}, {Disabled: true, DisabledAt: t0, PurgeAfterDays: 30, Milder: true}, {Disabled: true, DisabledAt: t0, PurgeAfterDays: 30}} {
			_, err := e.tryUpdate("acme", due10, store.Adopt(a))
			e.wantCode(err, store.Precondition, "Adopt")
		}
	})
}

func sourceMilder(e *env) {
	e.disabled("acme", "")
	e.create("on", "")
	name := "Another"
	milder := func(days int) store.Adoption {
		return store.Adoption{Name: &name, Disabled: true, DisabledAt: t0, PurgeAfterDays: days, Milder: true}
	}
	e.changesNothing("what would purge sooner", func() {
		e.adopt("acme", milder(10))
		e.adopt("acme", milder(9))
		e.adopt("on", milder(10))
		e.adopt("on", store.Adoption{Name: &name, Milder: true})
	})
	if got := e.adopt("acme", milder(11)); !got.EstimatedPurgeDate.Equal(due10.Add(day)) || got.Name == name {
		e.t.Errorf("%+v; want it put off by a day, and nothing else", got)
	}
	if got := e.adopt("acme", store.Adoption{Milder: true}); got.Status != store.StatusActive {
		e.t.Errorf("%+v; want it active", got)
	}
}

func sourceBlocks(e *env) {
	for i, r := range []store.BlockReason{store.BlockVanished, store.BlockMoved, store.BlockSource, store.BlockSourceDown} {
		id := fmt.Sprintf("t%d", i)
		e.disabled(id, "")
		_, err := e.tryClaim(id, due10, func(req *store.ClaimRequest) { req.Known = &store.Block{Reason: r, By: id} })
		e.wantBlocked(err, id, r, id)
	}
	for range 2 {
		st := e.stats(due10)
		for _, r := range []store.BlockReason{store.BlockVanished, store.BlockMoved, store.BlockSource, store.BlockSourceDown} {
			if st.Blocked[r] != 1 {
				e.t.Errorf("%d are blocked by %s; want 1", st.Blocked[r], r)
			}
		}
		if diff, err := statsDiff(e.ctx(), e.s, due10); err != nil || diff != "" {
			e.t.Errorf("stats against a recount: %v\n%s", err, diff)
		}
		e.reopen()
	}
	e.claim("t0", due10) // it can be claimed once nobody knows of a block
	e.adopt("t1", store.Adoption{})
	if st := e.stats(due10); st.Blocked[store.BlockVanished] != 0 || st.Blocked[store.BlockMoved] != 0 || st.Blocked[store.BlockSource] != 1 {
		e.t.Errorf("blocked %v; want one, by the source", st.Blocked)
	}
}

// sources returns the store as one that keeps what a source says.
func (e *env) sources() store.SourceKeeper {
	e.t.Helper()
	k, ok := e.s.(store.SourceKeeper)
	if !ok {
		e.t.Skip("the store keeps nothing of a source")
	}
	return k
}

func (e *env) sourceState() store.SourceState {
	e.t.Helper()
	st, err := e.sources().Source(e.ctx())
	e.must(err, "Source")
	return st
}

// changeSource changes what is on record as alice.
func (e *env) changeSource(c store.SourceChange) store.SourceState {
	e.t.Helper()
	st, err := e.sources().ChangeSource(e.ctx(), c, by(t0))
	e.must(err, "ChangeSource")
	return st
}

// wantMarks fails the case unless these tenants are marked.
func (e *env) wantMarks(kind store.MarkKind, ids ...string) {
	e.t.Helper()
	all, err := allMarks(e.ctx(), e.sources(), kind)
	e.must(err, "SourceMarks")
	var got []string
	for _, m := range all {
		got = append(got, m.ID)
	}
	e.equal(ids, got, fmt.Sprintf("the marks %q", kind))
}

// allMarks reads the marks of a kind in pages of two.
func allMarks(ctx context.Context, k store.SourceKeeper, kind store.MarkKind) ([]store.SourceMark, error) {
	var all []store.SourceMark
	for after := ""; ; {
		page, err := k.SourceMarks(ctx, kind, after, 2)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
}
