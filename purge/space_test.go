package purge_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// fullStore is a store whose disk fills up after some steps of purging, and has
// room again when a test says so.
type fullStore struct {
	*boltstore.Store
	steps atomic.Int64 // until the disk is full
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
	if err := s.step(); err != nil {
		return store.Claim{}, err
	}
	req.Inline = false
	return s.Store.Claim(ctx, id, req)
}

func (s *fullStore) Resume(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	if err := s.step(); err != nil {
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
	if err := s.step(); err != nil {
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
		s := &fullStore{Store: newStore(t)}
		s.steps.Store(steps)
		s.dark.Store(true)
		fill(t, s, []store.Tenant{due("a", ""), active("a-1", "a")}, resources("a-1", 3))
		e := newEngine(t, s)
		r := mustRun(t, e)
		if steps == 3 { // claim, erase, finish
			wantResult(t, r, purge.ResultOK)
			continue
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
		s.dark.Store(false)
		wantResult(t, mustRun(t, e), purge.ResultSpace)
		s.steps.Store(100)
		r = mustRun(t, e)
		wantResult(t, r, purge.ResultOK)
		if r.Totals.Tenants != 2 || r.Totals.Users != 3 {
			t.Errorf("%d steps: then it purged %+v", steps, r.Totals)
		}
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
