package purge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// sweepEvery is how often a pass that is held up by slow tenants looks for what
// became due beside them.
const sweepEvery = time.Minute

// Run makes one pass over everything that is due, and returns once the last
// tenant is done. With [TriggerRetry] it only resumes what was claimed before.
// When ctx ends, calls under way end, what they did is recorded, and the rest is
// left to a later pass: that is no error.
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
	surveys     map[string]*survey // by the tenant at the top
	rows        rows
	waiting     map[string]store.Block
	excused     map[string]bool         // are to be retried only because the disk had no room, or a target put them off
	early       map[string]confirmation // of tenants whose turn is to come
	objections  map[string]objection    // found when a tenant above was asked about
	silent      map[string]bool         // as Engine.silent, of this pass
	sourceUp    patience                // with a source that does not answer
	remaining   int64
	swept       bool        // everything due was looked at
	interrupted bool        // something was left because the context ended
	gate        *store.Gate // why nothing more is claimed
	err         error       // the store failed
}

func (e *Engine) newPass(trigger Trigger) *pass {
	id, err := uuid.NewV7()
	if err != nil { // only without a source of randomness
		id = uuid.New()
	}
	return &pass{
		e: e, id: id.String(), trigger: trigger, started: time.Now(),
		quota: store.NewQuota(e.settings.Load().PerPass),
		tried: map[string]*trial{}, surveys: map[string]*survey{}, waiting: map[string]store.Block{},
		excused: map[string]bool{}, early: map[string]confirmation{}, objections: map[string]objection{}, silent: map[string]bool{},
	}
}

// underWay returns how many tenants a pass has under way at a time. Where the store
// and all targets take many tenants together, the more there are in one transaction
// the less each pays for.
func (e *Engine) underWay() int {
	n := e.settings.Load().Concurrency
	if n == 1 || slices.ContainsFunc(e.targets, func(t *target) bool { return t.group == nil }) {
		return n
	}
	return 4 * n
}

func (p *pass) run(ctx context.Context) {
	claims, ok := p.open(ctx)
	if !ok {
		return
	}
	if !p.e.reconsidered {
		if _, err := p.e.Reconsider(ctx); err != nil {
			p.fail(ctx, err)
			return
		}
		p.e.reconsidered = true
	}
	claims = claims && p.trigger != TriggerRetry
	if claims {
		stats, err := p.e.store.Stats(ctx, p.started)
		if err != nil {
			p.fail(ctx, err)
			return
		}
		p.remaining = stats.Due
		p.e.metrics.RunRemaining(stats.Due)
	}

	watched, stop := p.e.watch(ctx)
	defer stop()
	busy := newPlaces(p.e.underWay())
	for {
		p.sweep(watched, busy, claims)
		// Until all tenants are done, a slow one must not keep those waiting that
		// become due beside it.
		if busy.empty(sweepEvery) {
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
func (p *pass) sweep(ctx context.Context, busy *places, claims bool) {
	// Claims are decided in the order of the candidates, so that a limit leaves
	// the youngest: each has its turn when the one before has its place.
	turn := make(chan struct{})
	close(turn)
	for c, err := range p.silentLast(p.e.candidates(ctx, time.Now(), claims)) {
		if err != nil {
			p.fail(ctx, err)
			return
		}
		if p.known(c.ID) {
			continue
		}
		at := busy.take(ctx)
		if at == nil {
			p.leave()
			return
		}
		if p.over(ctx) {
			at.leave()
			return
		}
		mine, next := turn, make(chan struct{})
		turn = next
		go func() {
			defer at.leave()
			p.askEarly(ctx, c)
			<-mine
			p.handle(ctx, c, at, sync.OnceFunc(func() { close(next) }))
		}()
	}
	p.mu.Lock()
	p.swept = claims
	p.mu.Unlock()
}

// handle purges one candidate, or the first of its due ancestors that can be
// claimed. It calls placed once the next candidate may be decided.
func (p *pass) handle(ctx context.Context, c candidate, at *seat, placed func()) {
	defer placed()
	s := p.e.settings.Load()
	began := time.Now()
	var claim store.Claim
	taken := false
	p.climb(ctx, c, climber{
		request: func() store.ClaimRequest { return p.e.request(s, p.trigger, self(time.Now())) },
		try: func(id string, _ bool) bool {
			var err error
			if claim, taken, err = p.claim(ctx, s, c, id, placed); err != nil {
				p.refused(ctx, id, c, err)
			}
			return taken
		},
		blocked: func(id string, b store.Block) {
			req := p.e.request(s, p.trigger, self(time.Now()))
			req.Known = &b
			_, err := p.e.store.Claim(ctx, id, req)
			p.refused(ctx, id, c, err)
		},
		together: s.Concurrency,
	})
	placed() // a resumed one first, so that an ancestor is decided knowing of it
	p.looked()
	if taken {
		p.ended(p.e.work(ctx, s, claim, at, c.resume, began))
	}
}

// claim claims a candidate, or one above it, or resumes it. A tenant that is not taken
// without an error is not due, as the source says by now.
func (p *pass) claim(ctx context.Context, s *settings, c candidate, id string, placed func()) (claim store.Claim, taken bool, err error) {
	req := p.e.request(s, p.trigger, self(time.Now()))
	if c.resume {
		claim, err = p.e.store.Resume(ctx, id, req)
		return claim, err == nil, err
	}
	req.Quota = p.quota
	if len(c.DueAbove) == 0 {
		req.Queued = placed // with ancestors, the place is that of the last try
	}
	if due, err := p.ask(ctx, s, id, &req); err != nil || !due {
		return claim, false, err
	}
	claim, err = p.e.store.Claim(ctx, id, req)
	return claim, err == nil, err
}

// refused decides what the refusal of a claim means: a row, the end of the
// pass, or nothing, when the tenant changed since it was listed.
func (p *pass) refused(ctx context.Context, id string, c candidate, err error) {
	var blocked *store.BlockedError
	var gate *store.GateError
	var full *store.SpaceError
	switch f := asFailure(err); {
	case f != nil:
		p.unanswered(id, p.dateOf(ctx, id, c), f)
	case errors.Is(err, errStopped):
		p.leave()
	case errors.As(err, &blocked):
		p.waits(id, p.dateOf(ctx, id, c), blocked.Block)
	case errors.As(err, &gate):
		p.stop(gate.Gate)
	case errors.As(err, &full) && full.Own:
		p.lacks(id, c.At, err) // others need less (G11)
	case errors.As(err, &full):
		p.stop(full.Gate())
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

// dateOf returns the date of a candidate, or of a tenant above it.
func (p *pass) dateOf(ctx context.Context, id string, c candidate) time.Time {
	if id == c.ID {
		return c.At
	}
	t, err := p.e.store.Tenant(ctx, id)
	if err != nil {
		return c.At
	}
	return t.EstimatedPurgeDate
}
