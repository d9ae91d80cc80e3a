package purge_test

import (
	"context"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// errKilled is what everything returns once the process is dead.
var errKilled = store.Errorf(store.Unavailable, "killed")

// life counts the effects that a process has, and ends it at one of them.
type life struct {
	mu    sync.Mutex
	steps int
	at    int  // the step at which it ends; 0: never
	after bool // it ends behind the effect, before the answer
	// end is what happens at the step; nil: the process is killed.
	end  func()
	dead bool
}

// step makes an effect happen, unless the process is dead before it. A process
// that is killed right after the effect does not see the answer.
func (l *life) step(effect func() error) error {
	l.mu.Lock()
	l.steps++
	now := l.steps == l.at
	if now && l.end == nil && !l.after {
		l.dead = true
	}
	if l.dead {
		l.mu.Unlock()
		return errKilled
	}
	if now && l.end != nil && !l.after {
		l.end()
	}
	// Effects are serialised: what happens behind a kill does not happen.
	defer l.mu.Unlock()
	err := effect()
	if now && l.after {
		if l.end == nil {
			l.dead = true
			return errKilled
		}
		l.end()
	}
	return err
}

func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// mortalStore is a store in a process that may be killed.
type mortalStore struct {
	store.Store
	life *life
}

func (s mortalStore) Claim(ctx context.Context, id string, req store.ClaimRequest) (c store.Claim, err error) {
	err = s.life.step(func() (err error) { c, err = s.Store.Claim(ctx, id, req); return err })
	return c, err
}

func (s mortalStore) Resume(ctx context.Context, id string, req store.ClaimRequest) (c store.Claim, err error) {
	err = s.life.step(func() (err error) { c, err = s.Store.Resume(ctx, id, req); return err })
	return c, err
}

func (s mortalStore) Record(ctx context.Context, tok store.Token, a store.Advance) error {
	return s.life.step(func() error { return s.Store.Record(ctx, tok, a) })
}

func (s mortalStore) Erase(ctx context.Context, tok store.Token, at time.Time, lease time.Duration) (e store.Erased, err error) {
	err = s.life.step(func() (err error) { e, err = s.Store.Erase(ctx, tok, at, lease); return err })
	return e, err
}

func (s mortalStore) Finish(ctx context.Context, tok store.Token, v store.Verification) (r store.Receipt, err error) {
	err = s.life.step(func() (err error) { r, err = s.Store.Finish(ctx, tok, v); return err })
	return r, err
}

func (s mortalStore) Postpone(ctx context.Context, tok store.Token, f store.Failure) (t store.Tenant, err error) {
	err = s.life.step(func() (err error) { t, err = s.Store.Postpone(ctx, tok, f); return err })
	return t, err
}

func (s mortalStore) Yield(ctx context.Context, tok store.Token, at time.Time) error {
	return s.life.step(func() error { return s.Store.Yield(ctx, tok, at) })
}

func (s mortalStore) Await(ctx context.Context, tok store.Token, w store.Wait) error {
	return s.life.step(func() error { return s.Store.Await(ctx, tok, w) })
}

func (s mortalStore) RecordRun(ctx context.Context, r store.Run) error {
	return s.life.step(func() error { return s.Store.RecordRun(ctx, r) })
}

// mortalTarget is a target that is called by a process that may be killed.
type mortalTarget struct {
	purge.Target
	life *life
}

func (m mortalTarget) Count(ctx context.Context, id string, kind store.Kind) (n int64, err error) {
	err = m.life.step(func() (err error) { n, err = m.Target.Count(ctx, id, kind); return err })
	return n, err
}

func (m mortalTarget) Purge(ctx context.Context, r purge.Request) (did purge.Removed, err error) {
	err = m.life.step(func() (err error) { did, err = m.Target.Purge(ctx, r); return err })
	return did, err
}

// SeesAll implements [purge.Witness].
func (mortalTarget) SeesAll() bool { return true }

// mortalAccountant is a mortalTarget that keeps an account.
type mortalAccountant struct {
	mortalTarget
	books purge.Accountant
}

func (m mortalAccountant) KeepsAccount(ctx context.Context) (bool, error) {
	return m.books.KeepsAccount(ctx)
}

func (m mortalAccountant) Account(ctx context.Context, purgeID string) (c store.Counts, err error) {
	err = m.life.step(func() (err error) { c, err = m.books.Account(ctx, purgeID); return err })
	return c, err
}

// mortalGroup is a mortalAccountant that takes many tenants in a call.
type mortalGroup struct {
	mortalAccountant
	group purge.GroupTarget
}

func (m mortalGroup) GroupSize(kind store.Kind) int { return m.group.GroupSize(kind) }

func (m mortalGroup) CountGroup(ctx context.Context, ids []string, kind store.Kind) (n int64, err error) {
	err = m.life.step(func() (err error) { n, err = m.group.CountGroup(ctx, ids, kind); return err })
	return n, err
}

func (m mortalGroup) PurgeGroup(ctx context.Context, ids []string, r purge.Request) (did purge.Removed, err error) {
	err = m.life.step(func() (err error) { did, err = m.group.PurgeGroup(ctx, ids, r); return err })
	return did, err
}
