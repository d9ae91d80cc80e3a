package purge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/tenantpurge/purger/store"
)

// sweepEvery is how often a pass that is held up by slow tenants looks for what
// became due beside them.
const sweepEvery = time.Minute

// Run makes one pass over everything that is due, and returns once the last
// tenant is done. When ctx ends, calls under way end, what they did is recorded,
// and the rest is left to a later pass: that is no error.
//
// It returns an error only when the store failed, beside the report as far as
// it goes, Conflict when a pass is running already, and Precondition while the
// clock reads what cannot be (G10).
func (e *Engine) Run(ctx context.Context, trigger Trigger) (Report, error) {
	if err := store.CheckClock(time.Now()); err != nil {
		return Report{}, store.Errorf(store.Precondition, "no pass: %w", err)
	}
	if !e.running.CompareAndSwap(false, true) {
		return Report{}, store.Errorf(store.Conflict, "a pass is running already")
	}
	defer e.running.Store(false)
	p := e.newPass(trigger)
	e.metrics.RunStarted(string(trigger))
	p.run(ctx)
	return p.conclude(ctx)
}

// pass is the state of one pass or plan.
type pass struct {
	e       *Engine
	id      string
	trigger Trigger
	dry     bool // a plan: nothing is changed, counted or logged
	started time.Time
	quota   *store.Quota
	// finished is set once, at the end.
	finished time.Time

	mu          sync.Mutex
	tried       map[string]*trial
	rows        rows
	waiting     map[string]store.Block
	remaining   int64
	swept       bool        // everything due was looked at
	interrupted bool        // something was left because the context ended
	gate        *store.Gate // why nothing more is claimed
	err         error       // the store failed
}

// trial is an attempt of this pass to claim a tenant. Each is made once, but for
// a purge that is to be retried: it may be resumed in the same pass.
type trial struct {
	decided chan struct{} // closed when taken is valid
	taken   bool
}

func (e *Engine) newPass(trigger Trigger) *pass {
	id, err := uuid.NewV7()
	if err != nil { // only without a source of randomness
		id = uuid.New()
	}
	return &pass{
		e: e, id: id.String(), trigger: trigger, started: time.Now(),
		quota: store.NewQuota(e.settings.Load().PerPass),
		tried: map[string]*trial{}, waiting: map[string]store.Block{},
	}
}

func (p *pass) run(ctx context.Context) {
	claims, ok := p.open(ctx)
	if !ok {
		return
	}
	stats, err := p.e.store.Stats(ctx, p.started)
	if err != nil {
		p.fail(ctx, err)
		return
	}
	p.remaining = stats.Due
	p.e.metrics.RunRemaining(stats.Due)

	watched, stop := p.e.watch(ctx)
	defer stop()
	places := int64(p.e.settings.Load().Concurrency)
	busy := semaphore.NewWeighted(places)
	for {
		p.sweep(watched, busy, claims)
		// All places free means that all tenants are done. Until then a slow
		// one must not keep those waiting that become due beside it.
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepEvery)
		err := busy.Acquire(again, places)
		cancel()
		if err == nil {
			break
		}
	}
	var gate *store.GateError
	if errors.As(context.Cause(watched), &gate) {
		p.stop(gate.Gate)
	}
}

// sweep looks once at everything there is to do, and puts each tenant to work
// in a place of its own.
func (p *pass) sweep(ctx context.Context, busy *semaphore.Weighted, claims bool) {
	// Claims are decided in the order of the candidates, so that a limit leaves
	// the youngest: each has its turn when the one before has its place.
	turn := make(chan struct{})
	close(turn)
	for c, err := range p.e.candidates(ctx, time.Now(), claims) {
		if err != nil {
			p.fail(ctx, err)
			return
		}
		if p.known(c.ID) {
			continue
		}
		if busy.Acquire(ctx, 1) != nil {
			p.leave()
			return
		}
		if p.over(ctx) {
			busy.Release(1)
			return
		}
		mine, next := turn, make(chan struct{})
		turn = next
		go func() {
			defer busy.Release(1)
			<-mine
			p.handle(ctx, c, sync.OnceFunc(func() { close(next) }))
		}()
	}
	p.mu.Lock()
	p.swept = true
	p.mu.Unlock()
}

// handle purges one candidate, or the first of its due ancestors that can be
// claimed. It calls placed once the next candidate may be decided.
func (p *pass) handle(ctx context.Context, c candidate, placed func()) {
	defer placed()
	s := p.e.settings.Load()
	began := time.Now()
	var claim store.Claim
	taken := false
	try := func(id string) bool {
		var err error
		req := p.e.request(s, p.trigger, self(time.Now()))
		if c.resume {
			claim, err = p.e.store.Resume(ctx, id, req)
		} else {
			req.Quota = p.quota
			if len(c.DueAbove) == 0 {
				req.Queued = placed // with ancestors, the place is that of the last try
			}
			claim, err = p.e.store.Claim(ctx, id, req)
		}
		if err != nil {
			p.refused(ctx, id, c, err)
			return false
		}
		taken = true
		return true
	}
	p.climb(ctx, c, try)
	placed() // a resumed one first, so that an ancestor is decided knowing of it
	p.looked()
	if taken {
		p.ended(p.e.work(ctx, s, claim, c.resume, began))
	}
}

// climb tries a candidate and before it, topmost first, its due ancestors, each
// once in a pass. It stops at the first one that is taken: the rest goes with
// it.
func (p *pass) climb(ctx context.Context, c candidate, try func(id string) (taken bool)) {
	chain := append(append([]string(nil), c.DueAbove...), c.ID)
	if c.resume {
		chain = chain[len(chain)-1:]
	}
	for _, id := range chain {
		t, first := p.trial(id)
		if first {
			if !p.over(ctx) {
				t.taken = try(id)
			}
			close(t.decided)
		}
		// Whoever is deciding does not wait for anything below it.
		<-t.decided
		if t.taken || p.over(ctx) {
			return
		}
	}
}

// trial returns the attempt on a tenant, and whether the caller has to make it.
func (p *pass) trial(id string) (t *trial, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.tried[id]; ok {
		return t, false
	}
	t = &trial{decided: make(chan struct{})}
	p.tried[id] = t
	return t, true
}

// known reports whether the pass has tried a tenant already.
func (p *pass) known(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.tried[id]
	return ok
}

// refused decides what the refusal of a claim means: a row, the end of the
// pass, or nothing, when the tenant changed since it was listed.
func (p *pass) refused(ctx context.Context, id string, c candidate, err error) {
	var blocked *store.BlockedError
	var gate *store.GateError
	switch {
	case errors.As(err, &blocked):
		date := c.At
		if id != c.ID {
			if t, err := p.e.store.Tenant(ctx, id); err == nil {
				date = t.EstimatedPurgeDate
			}
		}
		p.waits(id, date, blocked.Block)
	case errors.As(err, &gate):
		p.stop(gate.Gate)
	case store.CodeOf(err) == store.Exhausted:
		p.halt(ctx, err)
	case store.CodeOf(err) == store.Internal:
		// A damaged record is that tenant's trouble (G11). A store that failed as
		// a whole says Unavailable to whatever comes next.
		p.damaged(id, c.At, err)
	case storeFailed(err):
		p.fail(ctx, err)
	default:
		p.e.log.Debug("tenant changed before it was claimed", zap.String("tenant", id), zap.String("error", printable(err)))
	}
}
