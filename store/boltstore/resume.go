package boltstore

import (
	"context"

	"github.com/tenantpurge/purger/store"
)

// absorb adds the progress of claims of descendants to the one that takes them
// along. It reports whether one of their owners vanished in the midst of work.
func (w *wtx) absorb(d *decision, req *store.ClaimRequest, p *store.Progress) (resumed bool, err error) {
	for i := range d.nodes {
		n := &d.nodes[i]
		q := n.Purge
		if q == nil {
			continue
		}
		lapsed := !q.LeaseEnd.IsZero()
		resumed = resumed || lapsed
		if lapsed && (!req.Inline || len(q.Targets) > 0) {
			now := *q
			now.OwnerVanished(req.Holds)
			q = &now
		}
		p.Absorb(q)
		w.writes++
		if err := w.moveGone(d.at.tree, n.ord, d.at.ord); err != nil {
			return false, err
		}
	}
	return resumed, nil
}

// Resume implements [store.Store].
func (s *Store) Resume(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	var claim store.Claim
	s.readAheadOf(ctx, id)
	err := s.writeAt(ctx, background, req.At, func(w *wtx) error {
		at, old, err := w.find(id)
		if err != nil {
			return err
		}
		for _, g := range w.gates.Closed(req.At) {
			if g.Reason != store.GateImport {
				return &store.GateError{Gate: g}
			}
		}
		switch p := old.Purge; {
		case old.Status != store.StatusPurging || p == nil:
			return store.Errorf(store.Precondition, "tenant %q is %s and has no purge to resume", id, old.Status)
		case s.leased(p, req.At):
			return store.Errorf(store.Conflict, "tenant %q is being purged by %q", id, p.Owner)
		case req.At.Before(p.NextAttempt.Time):
			return store.Errorf(store.Precondition, "the next attempt on tenant %q is at %s", id, store.FormatTime(p.NextAttempt.Time))
		}
		nodes, err := at.tree.subtree(at.ord)
		if err != nil {
			return err
		}
		// What it could not finish is not begun: that would only be written too.
		if err := w.stepRoom(finishRoom(at.tree, at.ord, nodes)); err != nil {
			return err
		}
		w.totals.fence++
		w.dirty.totals = true
		now := *old
		p := *old.Purge
		lapsed := !p.LeaseEnd.IsZero()
		p.Fence, p.Owner, p.Awaits = w.totals.fence, req.Owner, nil
		p.LeaseEnd.Time = store.Trim(req.At.Add(req.Lease))
		p.Include(req.Holds)
		if lapsed && (!req.Inline || len(p.Targets) > 0) {
			p.OwnerVanished(req.Holds)
		}
		now.Purge = &p
		if err := w.replace(at, old, &now); err != nil {
			return err
		}
		claim = store.Claim{
			Token: store.Token{TenantID: id, Fence: p.Fence}, Tenant: now.Tenant, Resumed: lapsed,
			Tenants: make([]string, len(nodes)),
		}
		for i := range nodes {
			claim.Tenants[i] = nodes[i].ID
		}
		_, err = w.audit(store.Entry{
			At: store.Timestamp{Time: req.At}, Actor: req.Actor.ID, Action: store.ActionResume, TenantID: id,
			FromStatus: old.Status, ToStatus: now.Status, FromVersion: old.Version, ToVersion: now.Version,
			Counts: &p.Deleted, Detail: map[string]string{"trigger": req.Trigger, "purge": p.PurgeID, "attempts": itoa(int64(p.Attempts))},
		})
		return err
	})
	if err != nil {
		return store.Claim{}, err
	}
	return claim, nil
}
