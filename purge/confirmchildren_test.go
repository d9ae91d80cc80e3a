package purge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// genealogy is a directory that can say who is below a tenant.
type genealogy struct {
	*directory
	mute  bool
	below func(ctx context.Context, parents []string) error // unless nil, called behind the last child

	mu    sync.Mutex
	calls [][]string // parents
}

func (g *genealogy) TellsChildren() bool { return !g.mute }

func (g *genealogy) Children(ctx context.Context, parents []string, yield func(purge.SourceRow) error) error {
	g.mu.Lock()
	g.calls = append(g.calls, parents)
	g.mu.Unlock()
	g.directory.mu.Lock()
	rows := slices.Clone(g.rows)
	g.directory.mu.Unlock()
	for _, r := range rows {
		if !slices.Contains(parents, r.Tenant.ParentID) {
			continue
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	if g.below != nil {
		return g.below(ctx, parents)
	}
	return nil
}

// registry is a genealogy that can be asked for many.
type registry struct{ *genealogy }

func (r *registry) TenantsByID(ctx context.Context, ids []string) (map[string]purge.SourceRow, error) {
	return (&batched{r.directory}).TenantsByID(ctx, ids)
}

var (
	_ purge.ChildSource = (*genealogy)(nil)
	_ purge.BatchSource = (*registry)(nil)
)

// sourceOf returns a source that can tell who is below, with or without batches.
func sourceOf(g *genealogy, batch bool) purge.Source {
	if batch {
		return &registry{g}
	}
	return g
}

// claim takes a tenant to purging.
func claim(t testing.TB, s *boltstore.Store, id string) {
	t.Helper()
	if _, err := s.Claim(context.Background(), id, store.ClaimRequest{
		Origin: store.Origin{Actor: operator, At: time.Now()}, Owner: "x", Lease: time.Hour, Trigger: "test",
	}); err != nil {
		t.Fatal(err)
	}
}

func TestConfirm_G1_ANewSubtenantThatOnlyTheSourceKnowsHoldsTheClaimUp(t *testing.T) {
	type rows = []purge.SourceRow
	for name, c := range map[string]struct {
		rows rows
		by   string // for whom acme waits, "" for nobody
		one  string // and acme-2, which is due by itself
	}{
		"nothing new":                   {nil, "", ""},
		"an active one":                 {rows{on("new", "acme")}, "new", ""},
		"one with a later date":         {rows{off("new", "acme", 24*time.Hour)}, "new", ""},
		"one that is due, too":          {rows{dueRow("new", "acme")}, "new", ""},
		"further down":                  {rows{on("new", "acme-1")}, "new", ""},
		"below one that is due":         {rows{on("new", "acme-2")}, "new", "new"},
		"several":                       {rows{on("n3", "acme-1"), on("n1", "acme"), on("n2", "acme")}, "n1", ""},
		"further down below a new one":  {rows{on("a", "new"), on("new", "acme")}, "new", ""},
		"below nobody of the family":    {rows{on("new", "globex"), on("new2", "")}, "", ""},
		"that is not understood":        {rows{live(on("new", "acme"))}, "new", ""},
		"that cannot be read":           {rows{unread(on("new", "acme-1"))}, "new", ""},
		"without an id":                 {rows{unread(on("", "acme-1"))}, "acme-1", ""},
		"whose id is none":              {rows{on("n/w", "acme-2")}, "acme-2", "acme-2"},
		"kept elsewhere":                {rows{on("moved", "acme-1")}, "moved", ""},
		"said twice, once of a kept":    {rows{on("acme-1", "acme-2"), on("acme-1", "acme")}, "acme-1", "acme-1"},
		"that was purged":               {rows{dueRow("gone", "acme")}, "", ""},
		"that was purged, active there": {rows{on("gone", "acme"), unread(on("gone", "acme-1"))}, "", ""},
		"that is being purged":          {rows{on("going", "acme"), on("going-1", "acme-1")}, "", ""},
		"some purged, one not":          {rows{on("gone", "acme"), on("new", "acme"), on("going", "acme")}, "new", ""},
	} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, batch %t", name, batch), func(t *testing.T) {
				t.Parallel()
				s := newStore(t)
				fill(t, s, []store.Tenant{due("gone", "")}, nil)
				wantOutcomes(t, mustRun(t, newEngine(t, s)), map[string]string{"gone": "deleted"})
				fill(t, s, []store.Tenant{active("globex", ""), active("moved", "globex"), due("going", "globex"), active("going-1", "going")}, nil)
				claim(t, s, "going")
				family := rows{dueRow("acme", ""), on("acme-1", "acme"), dueRow("acme-2", "acme")}
				fill(t, s, []store.Tenant{kept(family[0]), kept(family[1]), kept(family[2])}, nil)
				g := &genealogy{directory: &directory{}}
				g.set(append(family, c.rows...)...)
				e := newEngine(t, s, source(sourceOf(g, batch)))
				want := map[string]string{"acme": "deleted"}
				if c.by != "" {
					want = map[string]string{"acme": "blocked: source by " + c.by, "acme-2": "deleted"}
				}
				if c.one != "" {
					want["acme-2"] = "blocked: source by " + c.one
				}
				r, err := e.Plan(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				wantOutcomes(t, r, want)
				wantOutcomes(t, mustRun(t, e), want)
			})
		}
	}
}

func TestConfirm_G1_AClaimThatWaitsForANewSubtenantGoesOnOnceASyncHasTakenItOver(t *testing.T) {
	s := newStore(t)
	g := &genealogy{directory: &directory{}}
	sy := newSyncer(t, s, g)
	e := newEngine(t, s, source(g))
	g.set(among(dueRow("3", ""))...)
	synced(t, sy, store.SyncGood)
	g.set(among(dueRow("3", ""), off("31", "3", time.Hour), on("32", "3"))...)
	wantOutcomes(t, mustRun(t, e), map[string]string{"3": "blocked: source by 31"})
	if v, err := s.Tenant(context.Background(), "3"); err != nil || v.Purge != nil || v.Block == nil || *v.Block != (store.Block{Reason: store.BlockSource, By: "31"}) {
		t.Errorf("%+v, %v; want the block on the record, and no attempt counted", v, err)
	}
	synced(t, sy, store.SyncGood)
	wantOutcomes(t, mustRun(t, e), map[string]string{"3": "blocked: later_date by 31"})
	g.set(among(dueRow("3", ""), dueRow("31", "3"), on("32", "3"))...)
	synced(t, sy, store.SyncGood)
	wantOutcomes(t, mustRun(t, e), map[string]string{"3": "deleted"})
	if r := receipt(t, s, "3"); r.Deleted.SubTenants != 2 {
		t.Errorf("receipt %+v", r)
	}
}

func TestConfirm_G4_PurgedChildrenThatTheSourceGoesOnListingHoldUpNothingForever(t *testing.T) {
	s := newStore(t)
	g := &genealogy{directory: &directory{}}
	sy := newSyncer(t, s, g, floor(10))
	e := newEngine(t, s, source(g))
	g.set(among(off("3", "", time.Hour), dueRow("31", "3"), dueRow("311", "31"))...)
	synced(t, sy, store.SyncGood)
	wantOutcomes(t, mustRun(t, e), map[string]string{"31": "deleted"})
	g.set(among(dueRow("3", ""), on("31", "3"), dueRow("311", "3"))...) // one of them is active again, which is too late
	if c := synced(t, sy, store.SyncGood).Counts; c.Purged != 2 || c.TooLate != 1 {
		t.Errorf("counts %+v", c)
	}
	wantOutcomes(t, mustRun(t, e), map[string]string{"3": "deleted"})
}

func TestConfirm_G1_ASourceThatDoesNotSayWhoIsBelowPostponesWithoutAnAttempt(t *testing.T) {
	for name, below := range map[string]func(context.Context, []string) error{
		"an error":  func(context.Context, []string) error { return errSourceDown },
		"no code":   func(context.Context, []string) error { return errors.New("odd") },
		"not found": func(context.Context, []string) error { return store.Errorf(store.NotFound, "404") },
		"a panic":   func(context.Context, []string) error { panic("boom") },
		"no answer": func(ctx context.Context, _ []string) error { <-ctx.Done(); return ctx.Err() },
	} {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, batch %t", name, batch), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStore(t)
					rows := []purge.SourceRow{dueRow("a", ""), on("a-1", "a"), dueRow("b", "")}
					fill(t, s, []store.Tenant{kept(rows[0]), kept(rows[1]), kept(rows[2])}, resources("a", 1))
					g := &genealogy{directory: &directory{}, below: below}
					g.set(rows...)
					e := newEngine(t, s, source(sourceOf(g, batch)), setting(func(s *purge.Settings) { s.CallTimeout = 7 * time.Second }))
					began := time.Now()
					wantOutcomes(t, mustRun(t, e), map[string]string{"a": "blocked: source_down by a", "b": "blocked: source_down by b"})
					if took := time.Since(began); took > 2*7*time.Second {
						t.Errorf("the pass took %s", took)
					}
					if v, err := s.Tenant(context.Background(), "a"); err != nil || v.Purge != nil || v.Status != store.StatusDisabled {
						t.Errorf("a: %+v, %v; want it blocked, and no attempt counted", v, err)
					}
					g.set(append(rows, on("a-2", "a"))...) // what it did say counts
					wantOutcomes(t, mustRun(t, e), map[string]string{"a": "blocked: source by a-2", "b": "blocked: source_down by b"})
					g.below = nil
					g.set(rows...)
					wantOutcomes(t, mustRun(t, e), map[string]string{"a": "deleted", "b": "deleted"})
				})
			})
		}
	}
}

func TestConfirm_ASourceThatDoesNotSayWhoIsBelowIsNotAskedForEachTenant(t *testing.T) {
	s := newStore(t)
	g := &genealogy{directory: &directory{}, below: func(context.Context, []string) error { return errSourceDown }}
	rows := many(200, dueRow)
	var list []store.Tenant
	for _, r := range rows {
		list = append(list, kept(r))
	}
	fill(t, s, list, nil)
	g.set(rows...)
	r := mustRun(t, newEngine(t, s, source(g), setting(func(s *purge.Settings) { s.Concurrency = 1 })))
	if n := len(g.calls); r.Totals.Blocked != 200 || n == 0 || n > 100 {
		t.Errorf("%d are blocked, and the source was asked %d times", r.Totals.Blocked, n)
	}
}

func TestConfirm_AsksOnceAboutTheChildrenOfEachOfAFamily(t *testing.T) {
	const below = 2 * store.MaxPage
	rows := []purge.SourceRow{dueRow("acme", "")}
	want := []string{"acme"}
	for i := range below {
		id := fmt.Sprintf("acme-%04d", i)
		rows, want = append(rows, on(id, "acme")), append(want, id)
	}
	for batch, calls := range map[bool]int{true: 3, false: below + 1} {
		s := newStore(t)
		var list []store.Tenant
		for _, r := range rows {
			list = append(list, kept(r))
		}
		fill(t, s, list, nil)
		g := &genealogy{directory: &directory{}}
		g.set(rows...)
		wantOutcomes(t, mustRun(t, newEngine(t, s, source(sourceOf(g, batch)))), map[string]string{"acme": "deleted"})
		var asked []string
		for _, c := range g.calls {
			if len(c) > store.MaxPage {
				t.Errorf("asked about %d at once", len(c))
			}
			asked = append(asked, c...)
		}
		slices.Sort(asked)
		if diff := cmp.Diff(want, asked); diff != "" || len(g.calls) != calls {
			t.Errorf("batch %t: %d calls; parents (-want +got):\n%s", batch, len(g.calls), diff)
		}
	}
}

func TestConfirm_ASourceThatCannotTellIsNotAskedAndNorIsOneAboutWhatWaitsAnyway(t *testing.T) {
	for name, c := range map[string]struct {
		mute bool
		top  purge.SourceRow
		want map[string]string
	}{
		"cannot tell": {true, dueRow("acme", ""), map[string]string{"acme": "deleted"}},
		"vanished":    {false, dueRow("other", ""), map[string]string{"acme": "blocked: vanished by acme"}},
		"active":      {false, on("acme", ""), map[string]string{}},
	} {
		s := newStore(t)
		fill(t, s, []store.Tenant{due("acme", "")}, nil)
		g := &genealogy{directory: &directory{}, mute: c.mute}
		g.set(c.top, on("new", "acme"))
		wantOutcomes(t, mustRun(t, newEngine(t, s, source(g))), c.want)
		if len(g.calls) > 0 {
			t.Errorf("%s: asked about %v", name, g.calls)
		}
	}
}

// Overruling dates is all that a person's deletion does.
func TestDelete_G4_NotEvenByAPersonAboveASubtenantThatOnlyTheSourceKnows(t *testing.T) {
	for name, c := range map[string]struct {
		rows []purge.SourceRow
		by   string
	}{
		"disabled there": {[]purge.SourceRow{off("3", "", time.Hour), on("31", "3")}, "31"},
		"active there":   {[]purge.SourceRow{on("3", ""), on("31", "3")}, "31"},
		"not there":      {[]purge.SourceRow{on("31", "3")}, "31"}, // what it has below is there all the same
		"nothing new":    {[]purge.SourceRow{off("3", "", time.Hour)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			fill(t, s, []store.Tenant{disabled("3", "", time.Hour)}, nil)
			g := &genealogy{directory: &directory{}}
			g.set(c.rows...)
			_, err := newEngine(t, s, source(g), policy(purge.DeleteAny)).Delete(context.Background(), purge.Deletion{ID: "3", Actor: operator})
			var blocked *store.BlockedError
			switch errors.As(err, &blocked); {
			case c.by == "" && err != nil:
				t.Error(err)
			case c.by != "" && (blocked == nil || blocked.Block != (store.Block{Reason: store.BlockSource, By: c.by})):
				t.Errorf("%v; want it to wait for %s", err, c.by)
			}
		})
	}
}

// sick is a store that cannot read one tenant.
type sick struct {
	*boltstore.Store
	id string
}

func (s sick) Tenant(ctx context.Context, id string) (store.Tenant, error) {
	if id == s.id {
		return store.Tenant{}, store.Errorf(store.Internal, "a page of the file is damaged")
	}
	return s.Store.Tenant(ctx, id)
}

func TestConfirm_G4_AStoreThatCannotReadAChildIsNoReasonToPurgeAboveIt(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	g := &genealogy{directory: &directory{}}
	g.set(dueRow("acme", ""), on("new", "acme"))
	wantOutcomes(t, mustRun(t, newEngine(t, sick{s, "new"}, source(g))), map[string]string{"acme": "failed"})
	wantStatus(t, s, store.StatusDisabled, "acme")
}

func TestRun_G11_RowsThatAreNotUnderstoodHoldUpNobodyElse(t *testing.T) {
	s := newStore(t)
	d := &directory{}
	fill(t, s, []store.Tenant{due("a", ""), due("b", ""), due("c", ""), due("d", ""), due("e", "")}, nil)
	d.set(live(dueRow("a", "")), live(dueRow("b", "")), live(dueRow("c", "")), live(dueRow("d", "")), dueRow("e", ""))
	one := setting(func(s *purge.Settings) { s.Concurrency = 1 })
	wantOutcomes(t, mustRun(t, newEngine(t, s, source(d), one)), map[string]string{
		"a": "blocked: source by a", "b": "blocked: source by b", "c": "blocked: source by c", "d": "blocked: source by d", "e": "deleted",
	})
}
