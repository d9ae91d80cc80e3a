package purge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// confirm asks the source about a tenant and everything below it. What it says
// that is milder than what is kept is taken over, except in a plan.
func (p *pass) confirm(ctx context.Context, s *settings, id string) confirmation {
	if !p.sourceUp.ask() {
		p.noteSilent(id, p.e.silent[id])
		return confirmation{at: time.Now(), result: checkSkipped, block: &store.Block{Reason: store.BlockSourceDown, By: id}}
	}
	began := time.Now()
	c := p.e.confirm(ctx, s, id, question{adopt: !p.dry})
	p.sourceUp.asked(c.result != checkFailed, time.Since(began))
	p.noteSilent(id, c.result == checkFailed)
	return c
}

// noteSilent notes that the source has no answer about a tenant, or had none in the
// pass before and was not asked: it is asked last in the next one.
func (p *pass) noteSilent(id string, silent bool) {
	if !silent || p.dry {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.silent) < MaxRows {
		p.silent[id] = true
	}
}

// question is how the source is asked.
type question struct {
	// adopt takes over what is milder than what is kept.
	adopt bool
	// immediate is for a person's deletion, which overrules dates, and may be of a
	// tenant that the source does not know any more.
	immediate bool
}

// confirm is that of a pass without its memory of a source that does not answer.
func (e *Engine) confirm(ctx context.Context, s *settings, top string, q question) confirmation {
	family, err := e.family(ctx, top)
	if err != nil {
		return confirmation{at: time.Now(), err: err}
	}
	c := e.confirmAll(ctx, s, top, family, q)
	if c.err != nil || c.block == nil && c.result != checkConfirmed && !q.immediate {
		return c
	}
	b, err := e.unread(ctx, family)
	if err != nil {
		c.err = err
		return c
	}
	if c.waits(top, checkUnread, b); c.block == nil {
		e.confirmChildren(ctx, s, family, &c)
	}
	if c.block == nil && c.err == nil && !q.immediate {
		c.err = e.confirmSynced(ctx, s, top, &c)
	}
	return c
}

// waits adds a reason why the tenant has to wait; b may be nil.
func (c *confirmation) waits(top string, result checkResult, b *store.Block) {
	if worse := store.Worse(top, c.block, b); worse != c.block {
		c.result, c.block = result, worse
	}
}

// silent notes that the source did not answer about a tenant. That of a context
// which has ended is no answer either, but not the source's.
func (c *confirmation) silent(ctx context.Context, e *Engine, top string, err error) {
	if ctx.Err() != nil {
		c.err = store.Errorf(store.Unavailable, "ask the source: %w", context.Cause(ctx))
		return
	}
	e.log.Warn("the source did not confirm a tenant that is due", zap.String("tenant", top),
		zap.String("source", e.source.Name()), zap.String("error", printable(err)))
	c.result, c.block = checkFailed, &store.Block{Reason: store.BlockSourceDown, By: top}
}

// unread returns why a claim of the first tenant of a family has to wait for rows
// of the source that the last sync did not understand; nil when it has not.
func (e *Engine) unread(ctx context.Context, family []kin) (*store.Block, error) {
	var worst *store.Block
	for step := range slices.Chunk(family, store.MaxPage) {
		ids := make([]string, len(step))
		for i, k := range step {
			ids[i] = k.id
		}
		marks, err := e.keeper.SourceMarksOf(ctx, store.MarkUnread, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range marks {
			worst = store.Worse(family[0].id, worst, &store.Block{Reason: store.BlockSource, By: cmp.Or(m.By, m.ID)})
		}
	}
	return worst, nil
}

// confirmAll asks the source about a family.
func (e *Engine) confirmAll(ctx context.Context, s *settings, top string, family []kin, q question) confirmation {
	c := confirmation{at: time.Now(), result: checkConfirmed}
	for len(family) > 0 && c.err == nil && (c.block != nil || c.result == checkConfirmed) {
		step := family[:min(len(family), store.MaxPage)]
		family = family[len(step):]
		rows, err := e.lookUp(ctx, s, step)
		if err != nil {
			c.silent(ctx, e, top, err)
			return c
		}
		for _, k := range step {
			if c.judge(ctx, e, s, k, top, rows, q); c.err != nil || c.result == checkMilder && c.block == nil {
				return c
			}
		}
	}
	return c
}

// judge takes the answer about one tenant of the subtree.
func (c *confirmation) judge(ctx context.Context, e *Engine, s *settings, k kin, top string, rows map[string]SourceRow, q question) {
	block := func(result checkResult, b store.Block) {
		b.By = k.id
		c.waits(top, result, &b)
	}
	row, known := rows[k.id]
	if !known && q.immediate {
		return
	}
	if !known {
		block(checkVanished, store.Block{Reason: store.BlockVanished})
		return
	}
	err := row.Err
	var a store.Adoption
	if err == nil {
		a, err = row.Tenant.adoption(s.Grace)
	}
	if err == nil && row.Tenant.ID != k.id {
		err = store.Errorf(store.Invalid, "the source answered for tenant %s", store.Quote(row.Tenant.ID))
	}
	if err != nil {
		e.log.Warn("the source says of a tenant that is due what cannot be understood", zap.String("tenant", k.id),
			zap.String("source", e.source.Name()), zap.String("error", printable(err)))
		block(checkUnread, store.Block{Reason: store.BlockSource})
		return
	}
	if row.Tenant.ParentID != k.parent {
		block(checkMoved, store.Block{Reason: store.BlockMoved})
		return
	}
	date := a.Date()
	milder := !a.Disabled || c.at.Before(date) && !q.immediate
	if milder && q.adopt && k.disabled {
		a.Milder = true
		c.err = e.adoptMilder(ctx, k.id, a)
	}
	switch {
	case c.err != nil || !milder:
	case k.id == top:
		c.result = checkMilder
	case a.Disabled: // it was promised a later date (G1)
		block(checkMilder, store.Block{Reason: store.BlockLaterDate, Until: store.Timestamp{Time: date}})
	}
}

// adoptMilder takes over what the source says of one tenant.
func (e *Engine) adoptMilder(ctx context.Context, id string, a store.Adoption) error {
	before, err := e.store.Tenant(ctx, id)
	if err != nil {
		return err
	}
	now, err := e.store.Update(ctx, id, store.Update{
		Origin: store.Origin{Actor: sourceActor(e.source), At: time.Now()}, Change: store.Adopt(a),
	})
	switch {
	case err != nil:
		return err
	case now.Version == before.Version:
		return nil
	case now.Status == store.StatusActive:
		e.metrics.Reactivated()
	}
	e.log.Info("a tenant that was due is not, says the source", zap.String("tenant", id), zap.String("source", e.source.Name()),
		zap.String("status", string(now.Status)), zap.String("estimatedPurgeDate", store.FormatTime(now.EstimatedPurgeDate)))
	return nil
}
