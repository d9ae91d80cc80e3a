package purge_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// fullStore is a store whose disk fills up after some steps of purging, and has
// room again when a test says so.
type fullStore struct {
	*boltstore.Store
	steps atomic.Int64 // until the disk is full
	giant string       // a tenant that needs more room than there is, if any
	at    string       // the step at which it does
	dark  atomic.Bool  // the gate is not closed yet when a pass looks at it
	none  atomic.Bool  // there is not even room for a note
}

var full = store.Space{Dir: "/data", Free: 1 << 20, Want: 64 << 20}

func (s *fullStore) step() error {
	if s.steps.Add(-1) < 0 {
		return &store.SpaceError{Space: full}
	}
	return nil
}

// own is step for a step of one tenant.
func (s *fullStore) own(id, at string) error {
	if id == s.giant && at == s.at {
		return &store.SpaceError{Space: full, Own: true}
	}
	return s.step()
}

func (s *fullStore) note() error {
	if s.steps.Load() <= 0 && s.none.Load() {
		return &store.SpaceError{Space: full}
	}
	return nil
}

func (s *fullStore) Gates(ctx context.Context) (store.Gates, error) {
	g, err := s.Store.Gates(ctx)
	if s.steps.Load() <= 0 && !s.dark.Load() {
		g.Space = &full
	}
	return g, err
}

func (s *fullStore) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if err := s.own(id, "claim"); err != nil {
		return store.Claim{}, err
	}
	req.Inline = false
	return s.Store.Claim(ctx, id, req)
}

func (s *fullStore) Resume(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if err := s.own(id, "resume"); err != nil {
		return store.Claim{}, err
	}
	return s.Store.Resume(ctx, id, req)
}

func (s *fullStore) Erase(ctx context.Context, tok store.Token, at time.Time, lease time.Duration) (store.Erased, error) {
	if err := s.step(); err != nil {
		return store.Erased{}, err
	}
	return s.Store.Erase(ctx, tok, at, lease)
}

func (s *fullStore) Finish(ctx context.Context, tok store.Token, v store.Verification) (store.Receipt, error) {
	if err := s.own(tok.TenantID, "finish"); err != nil {
		return store.Receipt{}, err
	}
	return s.Store.Finish(ctx, tok, v)
}

func (s *fullStore) Yield(ctx context.Context, tok store.Token, at time.Time) error {
	if err := s.note(); err != nil {
		return err
	}
	return s.Store.Yield(ctx, tok, at)
}

func (s *fullStore) Await(ctx context.Context, tok store.Token, w store.Wait) error {
	if err := s.note(); err != nil {
		return err
	}
	return s.Store.Await(ctx, tok, w)
}

func (s *fullStore) RecordRun(ctx context.Context, r store.Run) error {
	if err := s.note(); err != nil {
		return err
	}
	return s.Store.RecordRun(ctx, r)
}

// A disk that is full at whatever step ends the pass at a gate, counts no attempt
// and fails nothing; once there is room the purge goes on where it was.
func TestRun_ADiskThatFillsUpAtAnyStepEndsThePassAndNothingElse(t *testing.T) {
	for steps := range int64(4) {
		synctest.Test(t, func(t *testing.T) { fillsUp(t, steps) })
	}
}

func fillsUp(t *testing.T, steps int64) {
	s := &fullStore{Store: newStore(t)}
	s.steps.Store(steps)
	s.dark.Store(true)
	fill(t, s, []store.Tenant{due("a", ""), active("a-1", "a")}, resources("a-1", 3))
	e := newEngine(t, s)
	r := mustRun(t, e)
	if steps == 3 { // claim, erase, finish
		wantResult(t, r, purge.ResultOK)
		return
	}
	wantResult(t, r, purge.ResultSpace)
	if want := (store.Gate{Reason: store.GateSpace, Detail: full.String()}); r.Gate == nil || *r.Gate != want {
		t.Errorf("%d steps: gate %+v", steps, r.Gate)
	}
	kept, err := s.Tenant(t.Context(), "a")
	if err != nil || steps > 0 && (kept.Purge == nil || kept.Purge.Attempts != 0 || !kept.Purge.LeaseEnd.IsZero()) {
		t.Errorf("%d steps: %+v, %v", steps, kept.Purge, err)
	}
	if g, err := s.Gates(t.Context()); err != nil || g.Halt != nil {
		t.Errorf("%d steps: halted by a full disk: %+v, %v", steps, g.Halt, err)
	}
	if steps > 0 { // a retry does not follow at once: there will be no room yet
		if n := len(resumable(t, s)); n != 0 {
			t.Errorf("%d steps: %d are resumable at once", steps, n)
		}
	}
	if runs, err := s.Runs(t.Context(), 1); err != nil || len(runs) != 1 || runs[0].Failed != 0 {
		t.Errorf("%d steps: kept as %+v, %v", steps, runs, err)
	}
	s.dark.Store(false)
	wantResult(t, mustRun(t, e), purge.ResultSpace)
	s.steps.Store(100)
	time.Sleep(2 * time.Minute) // in the bubble
	r = mustRun(t, e)
	wantResult(t, r, purge.ResultOK)
	if r.Totals.Tenants != 2 || r.Totals.Users != 3 {
		t.Errorf("%d steps: then it purged %+v", steps, r.Totals)
	}
}

func TestRun_WithoutRoomForANoteThePassStillEndsAtTheGate(t *testing.T) {
	s := &fullStore{Store: newStore(t)}
	s.steps.Store(1)
	s.dark.Store(true)
	s.none.Store(true)
	fill(t, s, []store.Tenant{due("a", "")}, resources("a", 1))
	e := newEngine(t, s)
	wantResult(t, mustRun(t, e), purge.ResultSpace)
	if runs, err := s.Runs(t.Context(), 1); err != nil || len(runs) != 0 {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestDelete_SaysThatTheDiskIsFullAndDoesNotHalt(t *testing.T) {
	for steps := range int64(2) {
		s := &fullStore{Store: newStore(t)}
		s.steps.Store(steps)
		fill(t, s, []store.Tenant{disabled("a", "", time.Hour)}, nil)
		e := newEngine(t, s)
		_, err := e.Delete(t.Context(), purge.Deletion{ID: "a", Actor: operator})
		var e2 *store.SpaceError
		if !errors.As(err, &e2) || store.CodeOf(err) != store.Exhausted {
			t.Errorf("%d steps: %v", steps, err)
		}
	}
}

func resumable(t *testing.T, s store.Store) []store.Candidate {
	t.Helper()
	list, err := s.Resumable(t.Context(), time.Now(), store.Cursor{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A tenant so large that only for it the disk has too little room is tried again
// later; the others go on, in the same pass.
func TestRun_G11_AGiantThatFindsNoRoomDoesNotStopTheOthers(t *testing.T) {
	for _, step := range []string{"claim", "finish", "resume"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &fullStore{Store: newStore(t), giant: "giant", at: step}
				s.steps.Store(1000)
				fill(t, s, []store.Tenant{disabled("giant", "", -2*time.Hour), due("a", ""), due("b", "")}, resources("giant", 3))
				logs, seen := observed(zapcore.WarnLevel)
				e := newEngine(t, s, logs)
				if step == "resume" { // it was claimed while there was room
					s.at = "finish"
					mustRun(t, e)
					s.at = step
					time.Sleep(time.Hour)
					fill(t, s, []store.Tenant{due("c", ""), due("d", "")}, nil)
				}
				r := mustRun(t, e)
				wantResult(t, r, purge.ResultPartial)
				if r.Gate != nil || r.Totals.Deleted != 2 || r.Totals.Retrying != 1 || r.Totals.Failed != 0 {
					t.Errorf("gate %+v, totals %+v", r.Gate, r.Totals)
				}
				for _, row := range r.Tenants {
					if row.ID == "giant" && (row.Outcome != purge.OutcomeRetrying || row.Error != full.String()) {
						t.Errorf("row %+v", row)
					}
				}
				if runs, err := s.Runs(t.Context(), 1); err != nil || len(runs) != 1 || runs[0].Failed != 0 {
					t.Errorf("kept as %+v, %v", runs, err)
				}
				for _, l := range seen.All() {
					if text, ok := l.ContextMap()["error"].(string); ok && strings.Count(text, "want") > 1 {
						t.Errorf("said twice: %q", text)
					}
				}
				if step == "finish" && len(resumable(t, s)) != 0 {
					t.Error("it is resumable at once")
				}
				s.giant = ""
				time.Sleep(2 * time.Minute)
				r = mustRun(t, e)
				wantResult(t, r, purge.ResultOK)
				if r.Totals.Deleted != 1 || r.Totals.Users != 3 {
					t.Errorf("with room: %+v", r.Totals)
				}
			})
		})
	}
}

// What is said of a full disk is said once.
func TestRun_AFullDiskIsLoggedOnce(t *testing.T) {
	s := &fullStore{Store: newStore(t)}
	s.steps.Store(2)
	s.dark.Store(true)
	fill(t, s, []store.Tenant{due("a", "")}, nil)
	logs, seen := observed(zapcore.WarnLevel)
	mustRun(t, newEngine(t, s, logs))
	told := seen.FilterMessage("tenant not purged yet").All()
	if len(told) != 1 || told[0].ContextMap()["error"] != full.String() {
		t.Errorf("%+v", told)
	}
}
