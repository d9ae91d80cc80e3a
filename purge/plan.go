package purge

import (
	"context"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Plan returns what Run would do now, by the same iterator and the same
// decisions, and changes nothing. Outcomes are predictions: they know of no
// error that a target has not made yet.
//
// Where a limit would halt the pass the plan ends too, with Gate set: what is
// due beyond it is not listed. Under a gate that is closed already, Gate and
// Result are those of a pass now, and everything else says what a pass would do
// if that gate were open; Report.Halt is the limit that would end it.
//
// Its error is that of the store or of ctx.
func (e *Engine) Plan(ctx context.Context) (Report, error) {
	p := e.newPass(TriggerPlan)
	p.dry = true
	p.open(ctx)
	closed := p.gate
	p.gate = nil
	p.predict(ctx)
	p.finished = time.Now()
	if p.err != nil {
		return Report{}, p.err
	}
	if p.interrupted {
		return Report{}, store.Errorf(store.Unavailable, "plan: %w", context.Cause(ctx))
	}
	if closed == nil {
		r := p.report()
		r.Result = ResultPlanned
		return r, nil
	}
	halt := p.gate
	p.gate = closed
	r := p.report()
	r.Halt = halt
	return r, nil
}

// predict goes through the candidates one by one.
func (p *pass) predict(ctx context.Context) {
	f := &forecast{pass: p, settings: p.e.settings.Load(), below: map[string]string{}}
	for c, err := range p.e.candidates(ctx, p.started, true) {
		if err != nil {
			p.fail(ctx, err)
			return
		}
		if p.over(ctx) {
			return
		}
		p.climb(ctx, c, climber{
			request: f.request,
			try:     func(id string, surveyed bool) bool { return f.try(ctx, c, id, surveyed) },
			blocked: func(id string, b store.Block) {
				p.refused(ctx, id, c, &store.BlockedError{TenantID: id, Block: b})
			},
		})
	}
}

// forecast is what a plan knows, as it goes through the candidates, of those before.
type forecast struct {
	*pass
	settings *settings
	// ahead is how many tenants they would take, beyond how many of those are beyond
	// a limit.
	ahead, beyond int64
	below         map[string]string // ancestor -> descendant whose purge is resumed
}

func (f *forecast) request() store.ClaimRequest {
	req := f.e.request(f.settings, f.trigger, self(f.started))
	req.OpenGates = true
	return req
}

// try adds the row of a tenant, and reports whether it would be taken. surveyed is as
// in [climber].
func (f *forecast) try(ctx context.Context, c candidate, id string, surveyed bool) bool {
	a, taken, err := f.decide(ctx, c, id, surveyed)
	if err != nil {
		f.refused(ctx, id, c, err)
		return false
	}
	switch {
	case !taken:
		return false
	case c.resume:
		f.ancestors(ctx, a.Tenant, f.below)
	default:
		f.ahead += a.Tenants
		f.beyond += a.Beyond
	}
	return f.foresee(ctx, f.settings, a)
}

// decide returns what would be taken with a tenant, or the error with which it would
// be refused. One that is not taken without an error is not due, as the source says
// by now.
func (f *forecast) decide(ctx context.Context, c candidate, id string, surveyed bool) (a store.Assessment, taken bool, err error) {
	blocked := func(b store.Block) error { return &store.BlockedError{TenantID: id, Block: b} }
	by, waits := f.below[id]
	purging := store.Block{Reason: store.BlockPurging, By: by}
	if waits && surveyed { // it needs no other reason
		return a, false, blocked(purging)
	}
	if o, ok := f.objected(id); ok && !c.resume {
		if o.err == nil {
			o.err = blocked(*o.block)
		}
		return a, false, o.err
	}
	req := f.request()
	req.Quota, req.Ahead, req.BeyondAhead = f.quota, f.ahead, f.beyond
	a, err = f.e.store.Assess(ctx, id, req)
	switch {
	case err != nil || c.resume:
		return a, true, err
	case a.Refusal != nil:
		return a, false, a.Refusal
	case waits:
		return a, false, blocked(purging)
	case !f.e.asks():
		return a, true, nil
	}
	said := f.inquire(ctx, f.settings, id)
	if said.err == nil && said.block != nil {
		said.err = blocked(*said.block)
	}
	return a, said.result == checkConfirmed, said.err
}

// ancestors notes in below, for all ancestors of a tenant that is resumed, that
// they wait for it. Among several they wait for the one with the smallest id.
func (p *pass) ancestors(ctx context.Context, t store.Tenant, below map[string]string) {
	for id := t.ID; t.ParentID != "" && !p.over(ctx); {
		if by, is := below[t.ParentID]; is && by <= id {
			return // and so do those above
		}
		below[t.ParentID] = id
		above, err := p.e.store.Tenant(ctx, t.ParentID)
		if err != nil {
			p.fail(ctx, err)
			return
		}
		t = above
	}
}

// foresee adds the row of a tenant that would be purged, with what its targets
// hold of it.
func (p *pass) foresee(ctx context.Context, s *settings, a store.Assessment) bool {
	row := Row{
		ID: a.Tenant.ID, Outcome: OutcomeDeleted, ResourcesDeleted: a.Counts,
		EstimatedPurgeDate: store.Timestamp{Time: a.Tenant.EstimatedPurgeDate},
	}
	if len(p.e.targets) > 0 {
		held, failed, err := p.held(ctx, s, a.Tenant.ID)
		switch {
		case err != nil:
			p.fail(ctx, err)
			return true
		case len(failed) > 0: // the store's own stays until the targets are empty
			row.ResourcesDeleted = store.Counts{}
			row.Outcome, row.Error = OutcomeRetrying, printable(failed)
			if failed.permanent() && len(failed.postponed()) == 0 {
				row.Outcome = OutcomeFailed
			}
		}
		row.Targets = held
		for _, n := range held {
			row.ResourcesDeleted = row.ResourcesDeleted.Plus(n)
		}
	}
	p.rows.add(row, a.Tenants)
	return true
}

// held counts what each target holds of a subtree and would give up now. One that
// does not answer, or must not be called now, leaves the others alone (G11).
func (p *pass) held(ctx context.Context, s *settings, top string) (held map[string]store.Counts, failed failures, err error) {
	ids, err := p.e.subtree(ctx, top)
	if err != nil {
		return nil, nil, err
	}
	held = map[string]store.Counts{}
	for _, t := range p.e.targets {
		n, err := p.e.countAll(ctx, s, t, ids, ctx.Err)
		if err == nil && t.guard != nil {
			err = t.guard.closed(p.started)
		}
		switch f := asFailure(err); {
		case err == nil:
			held[t.name] = n
		case f == nil:
			return nil, nil, err
		default:
			failed = append(failed, f)
		}
	}
	return held, failed, nil
}
