package resttarget

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// proof is that the API heeds the {tenant} of a kind whose removals nothing else keeps
// to the tenant. It is asked for before the first count or removal since the start, by
// one call at a time, and kept.
type proof struct {
	place *semaphore.Weighted
	found atomic.Bool
}

func newProof() *proof { return &proof{place: semaphore.NewWeighted(1)} }

// prove returns a [store.Precondition] error when the API has something for a tenant
// that does not exist: then what it lists, or removes at once, is everybody's (G4).
func (t *Target) prove(ctx context.Context, c *kind) error {
	if c.proof.found.Load() {
		return nil
	}
	arrived := purge.Idle(ctx)
	err := c.proof.place.Acquire(ctx, 1)
	arrived()
	if err != nil {
		return store.Errorf(store.Unavailable, "another step tries the filter: %v", err)
	}
	defer c.proof.place.Release(1)
	if c.proof.found.Load() {
		return nil
	}
	if c.list != nil && c.list.unproven() {
		if _, err := t.probeList(ctx, c.list); err != nil && !refused(err) {
			return err
		}
	}
	if c.purge != nil && c.count != nil {
		if err := t.probeCount(ctx, c.count); err != nil && !refused(err) {
			return err
		}
	}
	c.proof.found.Store(true)
	return nil
}

// unproven reports whether only the API's filter keeps others out of a list.
func (l *list) unproven() bool { return l.filtered && l.Owner == "" }

// probeList asks for one page of a list, which may be long when it is everybody's.
func (t *Target) probeList(ctx context.Context, l *list) (*walk, error) {
	w := t.walk(l, probe, &httpcall.Patience{})
	_, err := w.step(ctx)
	if l.unproven() && w.received > 0 {
		// Before any other error: a page of everybody's may have some as well.
		return w, unfiltered(l.op, "lists", w.received, "want owner; ")
	}
	return w, err
}

// probeCount asks for a number.
func (t *Target) probeCount(ctx context.Context, c *count) error {
	n, err := t.ask(ctx, c, probe)
	if err == nil && n > 0 {
		return unfiltered(c.op, "counts", n, "")
	}
	return err
}

func unfiltered(o *operation, does string, n int64, more string) error {
	return store.Errorf(store.Precondition, "%s: the filter is not applied: for a tenant that cannot exist (%s) the API %s %d; %ssee whether it knows the parameter that names the {tenant}",
		o, probe, does, n, more)
}

// refused reports that the API would not answer about a tenant that it does not know:
// it had nothing for it.
func refused(err error) bool {
	var e *httpcall.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity:
		return true
	}
	return false
}
