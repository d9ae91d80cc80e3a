package purge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

const (
	// freshFor is how old an answer of the source may be when a tenant is
	// claimed. The source is asked ahead of a tenant's turn, so that a slow one
	// delays a pass by no more than itself.
	freshFor = 5 * time.Second
	// sourceTries is how many questions in a row may fail before a pass asks no
	// more of them.
	sourceTries = 3
	// sourceTogether is how many questions about one subtree are asked at a time
	// of a source that is no [BatchSource].
	sourceTogether = 8
)

// checkResult is what came of asking, as the metrics name it.
type checkResult string

const (
	checkConfirmed checkResult = "confirmed"
	checkMilder    checkResult = "milder" // active there, or with a later date
	checkVanished  checkResult = "vanished"
	checkMoved     checkResult = "moved"
	checkFailed    checkResult = "failed"
	checkSkipped   checkResult = "skipped" // the source failed before
	checkUnread    checkResult = "unread"  // a row below is not understood
)

// confirmation is what the source, and then targets, say of a tenant that is due,
// and of those below it.
type confirmation struct {
	at     time.Time
	result checkResult
	// block is why the tenant has to wait; nil with checkConfirmed, unless a target
	// says it, and with checkMilder, unless a sub-tenant is the reason.
	block    *store.Block
	err      error     // of the store, of the context, or of a target
	answered time.Time // when the source's answer came; without one, that of targets
	tenants  int64     // the size of the subtree, of what was asked ahead
}

// kin is what a confirmation needs to know of a tenant of the subtree.
type kin struct {
	id, parent string
	disabled   bool
}

// asks reports whether anybody is asked before a tenant is claimed.
func (e *Engine) asks() bool { return e.source != nil || len(e.counters) > 0 }

// ask asks the source, and targets about subscriptions, about a due tenant, unless
// something else keeps it from being claimed. It reports whether the claim is to be
// tried, with what it made of the request. An error is that of the store, or its
// refusal, or that of a target which did not answer; without one a tenant that is
// not to be claimed is what the source says by now.
func (p *pass) ask(ctx context.Context, s *settings, id string, req *store.ClaimRequest) (bool, error) {
	if !p.e.asks() {
		return true, nil
	}
	if o, ok := p.objected(id); ok {
		req.Known = o.block
		return o.block != nil, o.err
	}
	a, err := p.e.store.Assess(ctx, id, *req)
	if err == nil {
		err = a.Refusal
	}
	var blocked *store.BlockedError
	switch {
	case err == nil || store.CodeOf(err) == store.Exhausted: // the claim halts
	case errors.As(err, &blocked):
		req.Known = &blocked.Block // and does not look again: nobody asked the source
		return true, nil
	default:
		return false, err
	}
	c, ok := p.takeEarly(id)
	if !ok || c.tenants != a.Tenants || time.Since(c.answered) > freshFor {
		c = p.inquire(ctx, s, id)
	}
	if p.e.source != nil {
		p.e.metrics.SourceChecked(string(c.result))
	}
	switch {
	case c.err != nil:
		return false, c.err
	case c.block != nil:
		req.Known = c.block
	case c.result != checkConfirmed:
		return false, nil
	default:
		req.Version = a.Tenant.Version // that is what was confirmed
	}
	req.At = time.Now() // to ask took its time
	return true, nil
}

// askEarly asks about a candidate ahead of its turn.
func (p *pass) askEarly(ctx context.Context, c candidate) {
	if !p.e.asks() || c.resume || len(c.DueAbove) > 0 || p.over(ctx) {
		return
	}
	s := p.e.settings.Load()
	a, err := p.e.store.Assess(ctx, c.ID, p.e.request(s, p.trigger, self(time.Now())))
	if err != nil || a.Refusal != nil {
		return
	}
	got := p.inquire(ctx, s, c.ID)
	got.tenants = a.Tenants
	p.mu.Lock()
	defer p.mu.Unlock()
	p.early[c.ID] = got
}

// takeEarly returns what was asked ahead, once.
func (p *pass) takeEarly(id string) (confirmation, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.early[id]
	delete(p.early, id)
	return c, ok
}

// inquire asks the source, if there is one, about a tenant and everything below
// it, and then, unless it has to wait anyway, targets about the subscriptions.
// When those took long the source is asked once more: its answer must be fresh.
func (p *pass) inquire(ctx context.Context, s *settings, id string) confirmation {
	c := confirmation{at: time.Now(), result: checkConfirmed}
	if p.e.source != nil {
		c = p.confirm(ctx, s, id)
	}
	c.answered = time.Now()
	if c.err != nil || c.block != nil || c.result != checkConfirmed {
		return c
	}
	o := p.subscriptions(ctx, s, id)
	switch {
	case p.e.source == nil:
		c.answered = time.Now()
	case o.none() && time.Since(c.answered) > freshFor:
		c = p.confirm(ctx, s, id)
		c.answered = time.Now()
		return c
	}
	c.block, c.err = o.block, o.err
	return c
}

// confirm asks the source about a tenant and everything below it. What it says
// that is milder than what is kept is taken over, except in a plan.
func (p *pass) confirm(ctx context.Context, s *settings, id string) confirmation {
	if p.sourceFails.Load() >= sourceTries {
		return confirmation{at: time.Now(), result: checkSkipped, block: &store.Block{Reason: store.BlockSource, By: id}}
	}
	c := p.e.confirm(ctx, s, id, question{adopt: !p.dry})
	if c.result == checkFailed {
		p.sourceFails.Add(1)
	} else if c.err == nil {
		p.sourceFails.Store(0)
	}
	return c
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
	} else if worse := store.Worse(top, c.block, b); worse != c.block {
		c.result, c.block = checkUnread, worse
	}
	return c
}

// confirmAll asks the source about a family.
func (e *Engine) confirmAll(ctx context.Context, s *settings, top string, family []kin, q question) confirmation {
	c := confirmation{at: time.Now(), result: checkConfirmed}
	for len(family) > 0 && c.err == nil && (c.block != nil || c.result == checkConfirmed) {
		step := family[:min(len(family), store.MaxPage)]
		family = family[len(step):]
		rows, err := e.lookUp(ctx, s, step)
		if err != nil {
			if ctx.Err() != nil {
				c.err = store.Errorf(store.Unavailable, "ask the source: %w", context.Cause(ctx))
				return c
			}
			e.log.Warn("the source did not confirm a tenant that is due", zap.String("tenant", top),
				zap.String("source", e.source.Name()), zap.String("error", printable(err)))
			c.result, c.block = checkFailed, &store.Block{Reason: store.BlockSource, By: top}
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
		if worse := store.Worse(top, c.block, &b); worse != c.block {
			c.result, c.block = result, worse
		}
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
		block(checkFailed, store.Block{Reason: store.BlockSource})
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

// family returns a tenant and everything below it that can still be claimed, the
// tenant first. It uses no recursion, since depth is data.
func (e *Engine) family(ctx context.Context, top string) ([]kin, error) {
	t, err := e.store.Tenant(ctx, top)
	if err != nil {
		return nil, err
	}
	of := func(t *store.Tenant) kin { return kin{t.ID, t.ParentID, t.Status == store.StatusDisabled} }
	list := []kin{of(&t)}
	for i := 0; i < len(list); i++ {
		f := store.Filter{ParentID: &list[i].id, Limit: store.MaxPage}
		for {
			page, err := e.store.Tenants(ctx, f)
			if err != nil {
				return nil, err
			}
			for j := range page {
				f.After = page[j].ID
				if !page[j].Status.Irrevocable() {
					list = append(list, of(&page[j]))
				}
			}
			if len(page) < store.MaxPage {
				break
			}
		}
	}
	return list, nil
}

// lookUp asks the source about tenants. Those that are missing do not exist.
func (e *Engine) lookUp(ctx context.Context, s *settings, list []kin) (map[string]SourceRow, error) {
	if b, ok := e.source.(BatchSource); ok && len(list) > 1 {
		ids := make([]string, len(list))
		for i, k := range list {
			ids[i] = k.id
		}
		return askSource(ctx, e, s.CallTimeout, func(ctx context.Context) (map[string]SourceRow, error) {
			return b.TenantsByID(ctx, ids)
		})
	}
	rows := make([]*SourceRow, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(sourceTogether)
	for i, k := range list {
		g.Go(func() error {
			t, err := askSource(ctx, e, s.CallTimeout, func(ctx context.Context) (SourceTenant, error) {
				return e.source.Tenant(ctx, k.id)
			})
			switch store.CodeOf(err) {
			case "":
				rows[i] = &SourceRow{Tenant: t}
			case store.NotFound:
			case store.Invalid: // it answered
				rows[i] = &SourceRow{Err: err}
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := make(map[string]SourceRow, len(list))
	for i, k := range list {
		if rows[i] != nil {
			found[k.id] = *rows[i]
		}
	}
	return found, nil
}

// askSource makes one call of the source, which must not bring the process down.
func askSource[T any](ctx context.Context, e *Engine, timeout time.Duration, fn func(context.Context) (T, error)) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = store.Errorf(store.Internal, "source %s panicked: %v", e.source.Name(), r)
		}
	}()
	return fn(ctx)
}
