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
	s := p.e.settings.Load()
	var ahead, beyond int64
	below := map[string]string{} // ancestor -> descendant whose purge is resumed
	request := func() store.ClaimRequest {
		req := p.e.request(s, p.trigger, self(p.started))
		req.OpenGates = true
		return req
	}
	for c, err := range p.e.candidates(ctx, p.started, true) {
		if err != nil {
			p.fail(ctx, err)
			return
		}
		if p.over(ctx) {
			return
		}
		blocked := func(id string, b store.Block) {
			p.refused(ctx, id, c, &store.BlockedError{TenantID: id, Block: b})
		}
		try := func(id string, surveyed bool) bool {
			by, waits := below[id]
			if waits && surveyed { // it needs no other reason
				blocked(id, store.Block{Reason: store.BlockPurging, By: by})
				return false
			}
			if o, ok := p.objected(id); ok && !c.resume {
				if o.err == nil {
					o.err = &store.BlockedError{TenantID: id, Block: *o.block}
				}
				p.refused(ctx, id, c, o.err)
				return false
			}
			req := request()
			req.Quota, req.Ahead, req.BeyondAhead = p.quota, ahead, beyond
			a, err := p.e.store.Assess(ctx, id, req)
			if err == nil && !c.resume {
				err = a.Refusal
				if waits && err == nil {
					err = &store.BlockedError{TenantID: id, Block: store.Block{Reason: store.BlockPurging, By: by}}
				}
			}
			if err != nil {
				p.refused(ctx, id, c, err)
				return false
			}
			if !c.resume && p.e.asks() {
				said := p.inquire(ctx, s, id)
				if said.err == nil && said.block != nil {
					said.err = &store.BlockedError{TenantID: id, Block: *said.block}
				}
				if said.err != nil {
					p.refused(ctx, id, c, said.err)
				}
				if said.err != nil || said.result != checkConfirmed {
					return false
				}
			}
			if c.resume {
				p.ancestors(ctx, a.Tenant, below)
			} else {
				ahead += a.Tenants
				beyond += a.Beyond
			}
			return p.foresee(ctx, s, a)
		}
		p.climb(ctx, c, climber{request: request, try: try, blocked: blocked})
	}
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

// subtree returns the ids of a tenant and its descendants. It uses no
// recursion, since depth is data.
func (e *Engine) subtree(ctx context.Context, top string) ([]string, error) {
	ids := []string{top}
	for i := 0; i < len(ids); i++ {
		parent := ids[i]
		f := store.Filter{ParentID: &parent, Limit: store.MaxPage}
		for {
			page, err := e.store.Tenants(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, t := range page {
				ids = append(ids, t.ID)
				f.After = t.ID
			}
			if len(page) < store.MaxPage {
				break
			}
		}
	}
	return ids, nil
}
