package purge

import (
	"context"
	"errors"
	"time"

	"github.com/tenantpurge/purger/store"
)

const (
	// freshFor is how old an answer of the source may be when a tenant is
	// claimed. The source is asked ahead of a tenant's turn, so that a slow one
	// delays a pass by no more than itself.
	freshFor = 5 * time.Second
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
	checkStale     checkResult = "stale"   // no sync was good for too long
	checkUnread    checkResult = "unread"  // a row, there or below, is not understood, or not taken over yet
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
