package purge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// ended takes the end of the work on a tenant.
func (p *pass) ended(end ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	row := Row{Outcome: end.outcome, ResourcesDeleted: end.deleted}
	if end.outcome == OutcomeDeleted {
		delete(p.excused, end.receipt.TenantID)
		row.ID, row.EstimatedPurgeDate = end.receipt.TenantID, end.receipt.EstimatedPurgeDate
		p.rows.add(row, int64(len(end.receipt.Tenants)))
		return
	}
	row.ID, row.EstimatedPurgeDate.Time = end.tenant.ID, end.tenant.EstimatedPurgeDate
	row.Error = printable(end.err)
	p.rows.add(row, 0)
	if end.outcome == OutcomeRetrying {
		delete(p.tried, row.ID) // its next attempt may come before a slow pass ends
	}
	p.interrupted = p.interrupted || end.stopped
	var full *store.SpaceError
	if delete(p.excused, row.ID); end.outcome == OutcomeRetrying && (end.putOff || errors.As(end.err, &full)) {
		p.excused[row.ID] = true
	}
	switch {
	case errors.As(end.broken, &full):
		p.close(full.Gate())
	case p.err == nil:
		p.err = end.broken
	}
}

// waits takes a tenant that is due and blocked. It is logged when it was not
// waiting for the same before: a long hold is not news at every pass.
func (p *pass) waits(id string, date time.Time, b store.Block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows.add(Row{ID: id, Outcome: OutcomeBlocked, Block: &b, EstimatedPurgeDate: store.Timestamp{Time: date}}, 0)
	if p.dry {
		return
	}
	if len(p.waiting) < MaxRows {
		p.waiting[id] = b
	}
	log := p.e.log.Info
	if old, ok := p.e.waiting[id]; ok && old.Reason == b.Reason && old.By == b.By && old.Until.Equal(b.Until.Time) {
		log = p.e.log.Debug
	} else if b.Reason == store.BlockInvalidDate {
		log = p.e.log.Warn
	}
	log("tenant waits", zap.String("tenant", id), zap.String("outcome", string(OutcomeBlocked)),
		zap.String("reason", string(b.Reason)), zap.String("by", b.By), zap.String("until", store.FormatTime(b.Until.Time)),
		zap.Duration("lateness", late(date, p.started)))
}

// damaged takes a tenant that the store cannot read.
func (p *pass) damaged(id string, date time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows.add(Row{ID: id, Outcome: OutcomeFailed, Error: printable(err), EstimatedPurgeDate: store.Timestamp{Time: date}}, 0)
	if p.dry {
		return
	}
	p.e.metrics.PurgeFailed(metrics.StoreTarget, "", string(store.Internal))
	p.e.log.Error("tenant cannot be purged: its record is damaged; check the store",
		zap.String("tenant", id), zap.String("outcome", string(OutcomeFailed)), zap.String("error", printable(err)))
}

// lacks takes a tenant for which alone the disk has too little room.
func (p *pass) lacks(id string, date time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows.add(Row{ID: id, Outcome: OutcomeRetrying, Error: printable(err), EstimatedPurgeDate: store.Timestamp{Time: date}}, 0)
	p.excused[id] = true
	p.e.log.Warn("tenant not purged yet: it needs more room on the disk than others",
		zap.String("tenant", id), zap.String("outcome", string(OutcomeRetrying)), zap.String("error", printable(err)))
}

// late returns how long after its date it is; 0 without a date.
func late(date, now time.Time) time.Duration {
	if date.IsZero() {
		return 0
	}
	return max(now.Sub(date), 0)
}

// leave notes that the context ended before the pass did.
func (p *pass) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = true
}

// fail ends the pass with an error of the store, unless it is that of ctx.
func (p *pass) fail(ctx context.Context, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ended(err) && ctx.Err() != nil:
		p.interrupted = true
	case p.err == nil:
		p.err = err
	}
}

// over reports whether nothing more is to be claimed or resumed.
func (p *pass) over(ctx context.Context) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		p.interrupted = true
	}
	return p.interrupted || p.err != nil || p.gate != nil && p.gate.Reason != store.GateImport
}

// looked counts down what remains.
func (p *pass) looked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remaining = max(p.remaining-1, 0)
	p.e.metrics.RunRemaining(p.remaining)
}

// result returns how the pass ended: the most serious that applies.
func (p *pass) result() Result {
	switch t := &p.rows.totals; {
	case p.err != nil:
		return ResultError
	case p.gate != nil && p.gate.Reason == store.GateHalted:
		return ResultHalted
	case p.gate != nil && p.gate.Reason == store.GatePaused:
		return ResultPaused
	case p.gate != nil && p.gate.Reason == store.GateSpace:
		return ResultSpace
	case p.interrupted:
		return ResultInterrupted
	case p.gate != nil:
		return ResultImport
	case t.Failed > 0 || t.Retrying > 0:
		return ResultPartial
	}
	return ResultOK
}

// report returns what the pass did. All work has ended.
func (p *pass) report() Report {
	r := Report{
		ID: p.id, Trigger: p.trigger, StartedAt: store.Timestamp{Time: store.Trim(p.started)},
		FinishedAt: store.Timestamp{Time: store.Trim(p.finished)}, Result: p.result(), Gate: p.gate,
		Tenants: p.rows.sorted(), Totals: p.rows.totals, Omitted: p.rows.omitted,
	}
	if p.err != nil {
		r.Error = printable(p.err)
	}
	return r
}

// conclude records, counts and logs the pass.
func (p *pass) conclude(ctx context.Context) (Report, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = time.Now()
	r := p.report()
	if p.swept && r.Result != ResultInterrupted {
		p.e.waiting, p.e.silent = p.waiting, p.silent
	}
	if err := p.record(ctx, &r); err != nil && p.err == nil {
		p.err = err
		r.Result, r.Error = ResultError, printable(err)
	}
	p.e.metrics.RunFinished(string(r.Trigger), string(r.Result), p.started, p.finished)
	p.log(&r)
	return r, p.err
}

// recordIdleEvery is how often a pass that found nothing to do is kept. Keeping
// each would be most of what an idle pass costs, and would push those that
// purged something out of the list. One is, though, since a restart learns from
// the list when all that was due was done last.
const recordIdleEvery = time.Hour

// record keeps the pass in the store, unless that has no room.
func (p *pass) record(ctx context.Context, r *Report) error {
	idle := r.Result == ResultOK && r.Totals == (Totals{})
	again := p.trigger == TriggerRetry
	if idle && (again || p.finished.Sub(p.e.recorded) < recordIdleEvery) {
		return nil
	}
	err := p.e.store.RecordRun(context.WithoutCancel(ctx), store.Run{
		ID: r.ID, Trigger: string(r.Trigger), StartedAt: r.StartedAt, FinishedAt: r.FinishedAt, Result: string(r.Result),
		Tenants: r.Totals.Tenants, Failed: r.Totals.Failed + r.Totals.Retrying - int64(len(p.excused)), Blocked: r.Totals.Blocked,
		Deleted: r.Totals.Counts, Error: r.Error,
	})
	var full *store.SpaceError
	switch {
	case err == nil && !again:
		p.e.recorded = p.finished
	case errors.As(err, &full):
		return nil
	}
	return err
}

// log writes one line about the pass: a quiet one when there was nothing to do.
func (p *pass) log(r *Report) {
	log := p.e.log.Debug
	switch {
	case r.Result == ResultError:
		log = p.e.log.Error
	case r.Result == ResultHalted || r.Result == ResultImport || r.Result == ResultSpace || r.Totals.Failed > 0:
		log = p.e.log.Warn
	case r.Result != ResultOK || r.Totals.Deleted > 0:
		log = p.e.log.Info
	}
	fields := []zap.Field{
		zap.String("trigger", string(r.Trigger)), zap.String("result", string(r.Result)), zap.String("pass", r.ID),
		zap.Int64("tenants", r.Totals.Tenants), zap.Int64("resources", r.Totals.Resources()),
		zap.Int64("deleted", r.Totals.Deleted), zap.Int64("blocked", r.Totals.Blocked),
		zap.Int64("failed", r.Totals.Failed), zap.Int64("retrying", r.Totals.Retrying),
		zap.Duration("took", p.finished.Sub(p.started)),
	}
	if r.Gate != nil {
		fields = append(fields, zap.String("gate", string(r.Gate.Reason)), zap.String("detail", r.Gate.Detail))
	}
	if r.Error != "" {
		fields = append(fields, zap.String("error", r.Error))
	}
	log("pass finished", fields...)
}
