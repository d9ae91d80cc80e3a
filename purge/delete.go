package purge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenantpurge/purger/store"
)

// Deletion asks for the purge of one tenant without waiting for its date.
type Deletion struct {
	ID string
	// Version, when not 0, must be the record's.
	Version int64
	Actor   store.Actor
	// OnlyDisabled refuses a tenant that is active, whatever the policy.
	OnlyDisabled bool
	// Check, when not nil, may refuse the deletion for what the record holds. It is
	// that of the very version that is deleted; a change meanwhile is a Conflict.
	Check func(store.Tenant) error
}

// Delete purges a tenant and its subtree now, if Settings.ImmediateDelete lets
// it, and waits for the receipt. It overrules dates and nothing else: holds,
// protection, subscriptions, gates and limits stand.
//
// An active tenant, with DeleteAny, is deactivated first; when it cannot be
// claimed then, it is reactivated.
//
// Errors: Forbidden by policy; NotFound; Gone; Conflict for a stale version and
// while another pass works on the tenant; Precondition for a tenant that is not
// disabled, or is active in the source; *store.BlockedError; *store.GateError; Exhausted at a limit, or
// *store.SpaceError; Unavailable when a target does not tell the number of active
// subscriptions; what Check returns.
// After the claim there is no way back: Unavailable then means that the purge
// is not finished and a later pass goes on, Internal that it has failed and
// waits for a person.
func (e *Engine) Delete(ctx context.Context, d Deletion) (store.Receipt, error) {
	s := e.settings.Load()
	if s.ImmediateDelete == DeleteNever {
		return store.Receipt{}, store.Errorf(store.Forbidden, "immediate deletion is switched off (api.immediateDelete: never)")
	}
	began := time.Now()
	t, err := e.store.Tenant(ctx, d.ID)
	if err != nil {
		return store.Receipt{}, err
	}
	o := store.Origin{Actor: d.Actor, At: began}
	version := d.Version
	if d.Check != nil {
		if err := d.Check(t); err != nil {
			return store.Receipt{}, err
		}
		version = cmp.Or(version, t.Version)
	}
	consulted := time.Now()
	if err := e.consult(ctx, s, d.ID); err != nil {
		return store.Receipt{}, err
	}
	if t.Status == store.StatusActive {
		if err := s.allowsActive(&d); err != nil {
			return store.Receipt{}, err
		}
	}
	req := e.request(s, TriggerAPI, o)
	req.Immediate, req.Version = true, version
	if req.Known, err = e.paying(ctx, s, t, req); err != nil {
		return store.Receipt{}, e.explain(ctx, d.ID, err)
	}
	if len(e.counters) > 0 { // that took its time
		if req.Known == nil && time.Since(consulted) > freshFor {
			if err := e.consult(ctx, s, d.ID); err != nil {
				return store.Receipt{}, err
			}
		}
		req.At = time.Now()
	}
	claim, err := e.claimNow(ctx, s, &t, req)
	if err != nil {
		return store.Receipt{}, err
	}
	watched, stop := e.watch(ctx)
	defer stop()
	end := e.work(watched, s, claim, nil, false, began)
	return end.ofDeletion(d.ID)
}

// allowsActive returns an error unless an active tenant may be deleted.
func (s *settings) allowsActive(d *Deletion) error {
	switch {
	case d.OnlyDisabled:
		return store.Errorf(store.Precondition, "tenant %q is active: disable it first", d.ID)
	case s.ImmediateDelete != DeleteAny:
		return store.Errorf(store.Precondition, "tenant %q is active: deactivate it first (api.immediateDelete: %s)", d.ID, s.ImmediateDelete)
	}
	return nil
}

// claimNow claims a tenant for a deletion, and deactivates one that is active first.
func (e *Engine) claimNow(ctx context.Context, s *settings, t *store.Tenant, req store.ClaimRequest) (store.Claim, error) {
	if t.Status != store.StatusActive {
		claim, err := e.store.Claim(ctx, t.ID, req)
		if err != nil {
			return store.Claim{}, e.explain(ctx, t.ID, err)
		}
		return claim, nil
	}
	if req.Known != nil { // it need not be deactivated for that
		return store.Claim{}, &store.BlockedError{TenantID: t.ID, Block: *req.Known}
	}
	stood := t.ReactivatedAt // which the deactivation forgets
	off, err := e.store.Update(ctx, t.ID, store.Update{
		Origin: req.Origin, Version: req.Version, Change: store.Deactivate(0, s.Grace, s.isProtected),
	})
	if err != nil {
		return store.Claim{}, err
	}
	e.metrics.Deactivated()
	req.Version = off.Version
	claim, err := e.store.Claim(ctx, t.ID, req)
	if err != nil {
		return store.Claim{}, e.explain(ctx, t.ID, e.undo(ctx, off, stood, req.Origin, err))
	}
	return claim, nil
}

// ofDeletion returns what a person is told of the deletion that ended so.
func (end *ending) ofDeletion(id string) (store.Receipt, error) {
	switch {
	case end.outcome == OutcomeDeleted:
		return end.receipt, nil
	case end.broken != nil:
		return store.Receipt{}, fmt.Errorf("the purge of tenant %q is not finished: %w", id, end.broken)
	case end.outcome == OutcomeFailed:
		return store.Receipt{}, store.Errorf(store.Internal, "the purge of tenant %q failed and waits for a retry by a person: %s", id, printable(end.err))
	case end.next.IsZero():
		return store.Receipt{}, store.Errorf(store.Unavailable, "the purge of tenant %q is not finished: %s", id, printable(end.err))
	}
	return store.Receipt{}, store.Errorf(store.Unavailable, "the purge of tenant %q is not finished; the next attempt is at %s: %s",
		id, store.FormatTime(end.next), printable(end.err))
}

// consult asks the source, if there is one, about a tenant that a person wants to
// delete. One that is active there is left to [DeleteAny]; one that it does not
// know any more is the person's to decide.
func (e *Engine) consult(ctx context.Context, s *settings, id string) error {
	if e.source == nil {
		return nil
	}
	c := e.confirm(ctx, s, id, question{immediate: true})
	e.metrics.SourceChecked(string(c.result))
	switch {
	case c.err != nil:
		return c.err
	case c.block != nil:
		return &store.BlockedError{TenantID: id, Block: *c.block}
	case c.result == checkMilder && s.ImmediateDelete != DeleteAny:
		return store.Errorf(store.Precondition, "tenant %q is active, says source %s: disable it there first (api.immediateDelete: %s)",
			id, e.source.Name(), s.ImmediateDelete)
	}
	return nil
}

// undo reactivates a tenant that was deactivated for a deletion which was then
// refused. A reactivation by a person stands as it stood.
func (e *Engine) undo(ctx context.Context, t store.Tenant, stood time.Time, o store.Origin, refusal error) error {
	_, err := e.store.Update(context.WithoutCancel(ctx), t.ID, store.Update{Origin: o, Version: t.Version, Change: store.UndoDeactivate(stood)})
	if err != nil {
		return errors.Join(refusal, store.Errorf(store.CodeOf(err), "tenant %q stays disabled until %s: %w",
			t.ID, store.FormatTime(t.EstimatedPurgeDate), err))
	}
	e.metrics.Reactivated()
	return refusal
}

// explain tells the caller of a refused deletion apart what the store's claim
// does not.
func (e *Engine) explain(ctx context.Context, id string, refusal error) error {
	var blocked *store.BlockedError
	var full *store.SpaceError
	switch {
	case errors.As(refusal, &full):
	case store.CodeOf(refusal) == store.Exhausted:
		e.halted(ctx, refusal)
	case store.CodeOf(refusal) == store.Precondition && !errors.As(refusal, &blocked):
		t, err := e.store.Tenant(ctx, id)
		if err == nil && t.Status == store.StatusPurging {
			return store.Errorf(store.Conflict, "tenant %q is being purged already", id)
		}
		if store.CodeOf(err) == store.Gone {
			return err
		}
	}
	return refusal
}
