package purge

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// roomPause is how long a purge waits that found no room on the disk.
const roomPause = time.Minute

// ending is how the work on a claim ended.
type ending struct {
	outcome Outcome // deleted, failed or retrying
	receipt store.Receipt
	tenant  store.Tenant // the top, as claimed; zero when the claim finished inline
	deleted store.Counts // on record so far
	err     error        // why the outcome is not deleted
	next    time.Time    // when to try again; zero for the next pass
	stopped bool         // the context ended
	putOff  bool         // a target was not called, and nothing else is wrong
	// broken is the error of a store that has failed, or has no room.
	broken error
}

// work carries out a claim and puts its end on record, in the store, the
// metrics and the log.
//
// at is its place in a pass; nil is none. again says that the claim was resumed, not
// made.
func (e *Engine) work(ctx context.Context, s *settings, c store.Claim, at *seat, again bool, began time.Time) (end ending) {
	if c.Receipt != nil {
		end = ending{outcome: OutcomeDeleted, receipt: *c.Receipt, deleted: c.Receipt.Deleted}
		e.tell(end, began)
		return end
	}
	w := e.newCascade(s, c, again)
	w.at = at
	receipt, err := w.run(ctx)
	defer e.untrack(c.Token.TenantID, &end)
	end = ending{outcome: OutcomeRetrying, tenant: c.Tenant, deleted: w.deleted, err: err}
	var broken *storeError
	var failed failures
	var full *store.SpaceError
	switch {
	case err == nil:
		end.outcome, end.receipt, end.deleted = OutcomeDeleted, receipt, receipt.Deleted
	case errors.Is(err, errStopped):
		end.stopped = true
		end.keep(e.store.Yield(context.WithoutCancel(ctx), c.Token, time.Now()))
	case errors.As(err, &full):
		e.awaitRoom(ctx, c, full, &end)
	case errors.As(err, &failed):
		if e.await(ctx, c, failed, &end); end.putOff {
			break
		}
		e.postpone(ctx, s, c, failed, &end)
		e.countFailures(failed, end.outcome)
	case errors.As(err, &broken) && storeFailed(broken.err):
		end.keep(broken.err)
		e.metrics.PurgeFailed(metrics.StoreTarget, "", string(store.CodeOf(err)))
	case store.CodeOf(err) == store.Conflict:
		// Somebody else has the claim by now, and will end it.
	default: // the store refused, and works
		e.postpone(ctx, s, c, err, &end)
		e.metrics.PurgeFailed(metrics.StoreTarget, "", string(store.CodeOf(err)))
	}
	e.tell(end, began)
	return end
}

// countFailures tells the metrics what failed in targets that were called.
func (e *Engine) countFailures(failed failures, came Outcome) {
	for _, f := range failed {
		if isPostponed(f.err) {
			continue
		}
		e.metrics.PurgeFailed(f.target, f.kind, string(store.CodeOf(f.err)))
		if came == OutcomeRetrying {
			e.metrics.TargetRetried(f.target)
		}
	}
}

// awaitRoom leaves a claim until there may be room on the disk. No attempt is
// counted: it is not the tenant's trouble. But there will not be room at once, and a
// retry must not follow on the other.
func (e *Engine) awaitRoom(ctx context.Context, c store.Claim, full *store.SpaceError, end *ending) {
	if !full.Own {
		end.broken = full
	}
	now := time.Now()
	next := now.Add(roomPause)
	err := e.store.Await(context.WithoutCancel(ctx), c.Token, store.Wait{At: now, Until: next})
	switch {
	case err == nil:
		end.next = next
	case !errors.As(err, &full):
		end.keep(err)
	}
}

// await leaves a claim until a target may be called again, if nothing else is
// wrong. No attempt is counted: none was made.
func (e *Engine) await(ctx context.Context, c store.Claim, failed failures, end *ending) {
	e.policyMu.RLock()
	defer e.policyMu.RUnlock()
	w, only := failed.resume(time.Now())
	if !only {
		return
	}
	end.putOff, end.next = true, w.Until
	end.keep(e.store.Await(context.WithoutCancel(ctx), c.Token, w))
}

// postpone ends an attempt: it is tried again later, unless attempts are spent
// or nothing would change. It is not before the wait that a system asked for;
// and while a target waits for its window, until then, since a tenant is not
// failed before every target had its turn.
func (e *Engine) postpone(ctx context.Context, s *settings, c store.Claim, cause error, end *ending) {
	attempt, p := 1, c.Tenant.Purge
	// A person's retry, made meanwhile, gave the attempts anew.
	if t, err := e.store.Tenant(context.WithoutCancel(ctx), c.Token.TenantID); err == nil && t.Purge != nil {
		p = t.Purge
	}
	if p != nil {
		attempt += p.Attempts
	}
	now := time.Now()
	f := store.Failure{At: now, Err: store.Errorf(store.CodeOf(cause), "%s", printable(cause))}
	var failed failures
	spent := errors.As(cause, &failed) && failed.permanent() || attempt >= s.Attempts && !failed.doubted()
	e.policyMu.RLock()
	defer e.policyMu.RUnlock()
	w, _ := failed.resume(now)
	switch {
	case spent && len(w.For) == 0:
		end.outcome = OutcomeFailed
	case spent:
		f.Next, f.Awaits = w.Until, w.For
	default:
		f.Next = now.Add(max(s.delay(attempt), failed.asked()))
	}
	end.next = f.Next
	_, err := e.store.Postpone(context.WithoutCancel(ctx), c.Token, f)
	end.keep(err)
}

// why returns why the outcome is not deleted: both errors, unless one has the
// other in it.
func (end *ending) why() error {
	if errors.Is(end.err, end.broken) {
		return end.err
	}
	return errors.Join(end.broken, end.err)
}

// keep notes an error of the store in ending the work.
func (end *ending) keep(err error) {
	switch {
	case err == nil:
	case storeFailed(err):
		end.outcome, end.broken = OutcomeRetrying, err
	default:
		end.outcome, end.err = OutcomeRetrying, err
	}
}

// storeFailed reports whether err means that the store cannot be worked with,
// so that a pass has to end.
func storeFailed(err error) bool {
	switch store.CodeOf(err) {
	case "", store.Invalid, store.NotFound, store.Gone, store.Conflict, store.Precondition:
		return false
	}
	return true
}

// tell reports the end of a tenant to metrics and log.
func (e *Engine) tell(end ending, began time.Time) {
	if end.outcome != OutcomeDeleted {
		log := e.log.Warn
		switch {
		case (end.stopped || end.putOff) && end.broken == nil:
			log = e.log.Info
		case end.outcome == OutcomeFailed || end.broken != nil:
			log = e.log.Error
		}
		fields := []zap.Field{
			zap.String("tenant", end.tenant.ID), zap.String("outcome", string(end.outcome)),
			zap.String("error", printable(end.why())),
			zap.Int64("resources", end.deleted.Resources()), zap.Duration("took", time.Since(began)),
		}
		if !end.next.IsZero() {
			fields = append(fields, zap.String("nextAttempt", store.FormatTime(end.next)))
		}
		log("tenant not purged yet", fields...)
		return
	}
	r := &end.receipt
	took := max(r.DeletedAt.Sub(r.ClaimedAt.Time), 0)
	if spent := time.Since(began); took < spent {
		took = spent // the claim was made here: milliseconds would be too coarse
	}
	lateness, late := time.Duration(-1), zap.Skip()
	if !r.Immediate && !r.EstimatedPurgeDate.IsZero() {
		lateness = max(r.DeletedAt.Sub(r.EstimatedPurgeDate.Time), 0)
		late = zap.Duration("lateness", lateness)
	}
	e.metrics.TenantsPurged(int64(len(r.Tenants)), took, lateness)
	e.metrics.ResourcesPurged(metrics.StoreTarget, inStore(r))
	if entry := e.log.Check(zap.InfoLevel, "tenant purged"); entry != nil {
		entry.Write(
			zap.String("tenant", r.TenantID), zap.String("outcome", string(end.outcome)), zap.String("receipt", r.ID),
			zap.Int64("subTenants", r.Deleted.SubTenants), zap.Int64("oauthClients", r.Deleted.OAuthClients),
			zap.Int64("apiKeys", r.Deleted.APIKeys), zap.Int64("credentials", r.Deleted.Credentials),
			zap.Int64("users", r.Deleted.Users), zap.Bool("countsExact", r.CountsExact),
			zap.String("claimedBy", r.ClaimedBy), zap.Duration("took", took), late,
		)
	}
}

// inStore returns what the store itself held of what a receipt counts.
func inStore(r *store.Receipt) store.Counts {
	c := r.Deleted
	for _, t := range r.Targets {
		for _, k := range store.Kinds() {
			c.Add(k, -t.Of(k))
		}
	}
	return c
}
