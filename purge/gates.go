package purge

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// watchEvery is how often a pass looks whether a person paused purging.
const watchEvery = 5 * time.Second

// open looks at the gates. A halt, a pause or a full disk ends the pass. During
// an import nothing is claimed, but what is claimed already is finished.
func (p *pass) open(ctx context.Context) (claims, ok bool) {
	gates, err := p.e.store.Gates(ctx)
	if err != nil {
		p.fail(ctx, err)
		return false, false
	}
	for _, g := range gates.Closed(p.started) {
		p.stop(g)
	}
	return p.gate == nil, p.gate == nil || p.gate.Reason == store.GateImport
}

// halt ends the pass at a limit (G9).
func (p *pass) halt(ctx context.Context, cause error) {
	gate := store.Gate{Reason: store.GateHalted, Detail: cause.Error()}
	if !p.dry {
		gate = p.e.halted(ctx, cause)
	}
	p.stop(gate)
}

// halted tells metrics and log that a limit was reached, and returns the gate.
func (e *Engine) halted(ctx context.Context, cause error) store.Gate {
	gate := store.Gate{Reason: store.GateHalted, Detail: cause.Error()}
	limit := ""
	if gates, err := e.store.Gates(context.WithoutCancel(ctx)); err == nil && gates.Halt != nil {
		limit, gate = gates.Halt.Limit, gates.Closed(gates.Halt.Since.Time)[0]
	}
	e.metrics.LimitHit(limit)
	e.log.Error("purging is halted: a limit was reached; nothing more is purged until a person resumes it",
		zap.String("limit", limit), zap.String("error", printable(cause)))
	return gate
}

// stop ends the pass at a gate.
func (p *pass) stop(g store.Gate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close(g)
}

// close notes a gate that is closed. An import leaves what was claimed to be
// finished; any other gate stops more. The lock is held.
func (p *pass) close(g store.Gate) {
	if p.gate == nil || p.gate.Reason == store.GateImport {
		p.gate = &g
	}
}

// watch returns a context that also ends when purging is paused, with the gate
// as its cause: a person who pauses wants a long purge to stop too.
func (e *Engine) watch(ctx context.Context) (context.Context, func()) {
	watched, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case now := <-tick.C:
				gates, err := e.store.Gates(watched)
				if err != nil {
					continue // whoever writes will learn it
				}
				for _, g := range gates.Closed(now) {
					if g.Reason == store.GatePaused {
						cancel(&store.GateError{Gate: g})
					}
				}
			}
		}
	}()
	return watched, func() {
		cancel(nil)
		<-done
	}
}
