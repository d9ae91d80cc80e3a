package boltstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// RequestApproval implements [store.Approver].
func (s *Store) RequestApproval(ctx context.Context, req store.ApprovalRequest, o store.Origin) (store.Approval, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.Approval{}, store.Errorf(store.Internal, "make an id: %w", err)
	}
	var out store.Approval
	err = s.writeAt(ctx, foreground, o.At, func(w *wtx) error {
		var t *store.Tenant
		if req.TenantID != "" {
			_, r, err := w.find(req.TenantID)
			if err != nil {
				return err
			}
			t = &r.Tenant
		}
		var err error
		if out, err = store.NewApproval(id.String(), req, t, &w.gates, o); err != nil {
			return err
		}
		waits, n, own, err := asked(w.tx, &out, o.At)
		switch {
		case err != nil:
			return err
		case waits != nil:
			out = *waits
			return nil
		case own >= store.MaxApprovals/store.OwnerShare:
			return store.Errorf(store.Exhausted, "%d calls of %q wait already for a second person; want a decision on some of them first", own, o.Actor.ID)
		case n >= store.MaxApprovals:
			if err := w.makeRoom(o.At); err != nil {
				return err
			}
		}
		if _, err := w.forget(o.At, forgetMost); err != nil { // so that no more are there than count
			return err
		}
		if err := w.putApproval(&out); err != nil {
			return err
		}
		_, err = w.audit(out.Entry(store.ActionApprovalRequest, o))
		return err
	})
	if err != nil {
		return store.Approval{}, err
	}
	return out, nil
}

// asked returns the approval that waits already for what a asks for, nil for none,
// how many are kept, and how many of them wait that the same person has asked for.
func asked(tx *bolt.Tx, a *store.Approval, now time.Time) (waits *store.Approval, n, own int, err error) {
	asks := a.Asks()
	c := tx.Bucket(bucketApprovals).Cursor()
	for k, v := c.Seek(indexKey(now.Add(time.Millisecond), "")); k != nil; k, v = c.Next() {
		n++
		b, err := decodeApproval(v)
		if err != nil {
			return nil, n, own, err
		}
		if b.StatusAt(now) != store.ApprovalPending {
			continue
		}
		if b.RequestedBy.ID == a.RequestedBy.ID {
			own++
		}
		if bytes.HasPrefix(v, asks[:]) {
			waits = &b
		}
	}
	return waits, n, own, nil
}

// makeRoom removes the oldest approval that does not wait any more.
func (w *wtx) makeRoom(now time.Time) error {
	kept, err := approvals(w.tx, now)
	if err != nil {
		return err
	}
	for _, a := range kept {
		if a.StatusAt(now) != store.ApprovalPending {
			w.noteErased(now)
			return w.del(bucketApprovals, approvalKey(&a))
		}
	}
	return store.Errorf(store.Exhausted, "%d approvals wait already; decide on some of them first", len(kept))
}

// Approval implements [store.Approver].
func (s *Store) Approval(ctx context.Context, id string, now time.Time) (store.Approval, error) {
	var out store.Approval
	err := s.view(ctx, func(tx *bolt.Tx) (err error) {
		out, err = approval(tx, id, now)
		return err
	})
	return out, err
}

// Approvals implements [store.Approver].
func (s *Store) Approvals(ctx context.Context, now time.Time) ([]store.Approval, error) {
	var out []store.Approval
	err := s.view(ctx, func(tx *bolt.Tx) (err error) {
		out, err = approvals(tx, now)
		return err
	})
	return out, err
}

// DecideApproval implements [store.Approver].
func (s *Store) DecideApproval(ctx context.Context, id string, d store.ApprovalDecision, o store.Origin) (store.Approval, error) {
	var out store.Approval
	var void error // what was asked for can never be done any more
	err := s.writeAt(ctx, foreground, o.At, func(w *wtx) error {
		void = nil
		a, err := approval(w.tx, id, o.At)
		if err != nil {
			return err
		}
		if err := a.Decide(d, o); err != nil {
			return err
		}
		step, kept := store.ActionApprovalReject, a.Decided()
		if d.Approve {
			step = store.ActionApprovalApprove
			if void, err = w.fits(&a); err != nil {
				return err
			}
		}
		if void != nil {
			a = a.Expired(void, o)
			step, kept = store.ActionApprovalExpire, a
		}
		if err := w.putApproval(&kept); err != nil {
			return err
		}
		w.noteErased(o.At) // the call, and names
		out = a
		_, err = w.audit(a.Entry(step, o))
		return err
	})
	if err == nil {
		err = void
	}
	if err != nil {
		return store.Approval{}, err
	}
	return out, nil
}

// EndApproval implements [store.Approver].
func (s *Store) EndApproval(ctx context.Context, a store.Approval, out store.ApprovalOutcome, again bool, o store.Origin) (store.Approval, error) {
	var kept store.Approval
	err := s.writeAt(ctx, foreground, o.At, func(w *wtx) error {
		was, err := approval(w.tx, a.ID, o.At)
		switch {
		case err != nil:
			return err
		case was.Status != store.ApprovalApproved || was.Outcome != nil || was.DecidedBy != a.DecidedBy || !was.DecidedAt.Equal(a.DecidedAt.Time):
			return store.Errorf(store.Conflict, "approval %s is not kept as it was decided on", a.ID)
		}
		void, err := w.fits(&a)
		if err != nil {
			return err
		}
		var step store.Action
		kept, step = a.Ended(out, again, void == nil)
		if err := w.putApproval(&kept); err != nil || step == "" {
			return err
		}
		_, err = w.audit(kept.Entry(step, o))
		return err
	})
	if err != nil {
		return store.Approval{}, err
	}
	return kept, nil
}

// fits returns as void why an approval is not for what is there now, which will
// never be again what it is for.
func (w *wtx) fits(a *store.Approval) (void, err error) {
	if a.TenantID == "" {
		return a.CheckGates(&w.gates), nil
	}
	_, r, err := w.find(a.TenantID)
	switch store.CodeOf(err) {
	case "":
		return a.CheckTenant(&r.Tenant), nil
	case store.NotFound, store.Gone:
		return err, nil
	}
	return nil, err
}

// putApproval writes an approval: what it asks for, by which it is found, then the
// JSON of it.
func (w *wtx) putApproval(a *store.Approval) error {
	v, err := json.Marshal(a)
	if err != nil {
		return store.Errorf(store.Internal, "encode an approval: %w", err)
	}
	asks := a.Asks()
	return w.put(bucketApprovals, approvalKey(a), append(asks[:], v...))
}

// approvalKey orders approvals by when they are to be forgotten.
func approvalKey(a *store.Approval) []byte { return indexKey(a.ForgetAt(), a.ID) }

// approval finds one. There are so few that it looks at each of their keys.
func approval(tx *bolt.Tx, id string, now time.Time) (store.Approval, error) {
	c := tx.Bucket(bucketApprovals).Cursor()
	for k, v := c.Seek(indexKey(now.Add(time.Millisecond), "")); len(k) > 8; k, v = c.Next() {
		if string(k[8:]) == id {
			return decodeApproval(v)
		}
	}
	return store.Approval{}, store.Errorf(store.NotFound, "approval %q is not known, or no longer", clip(id))
}

// approvals returns those that are kept at now, the oldest first.
func approvals(tx *bolt.Tx, now time.Time) ([]store.Approval, error) {
	list := []store.Approval{}
	c := tx.Bucket(bucketApprovals).Cursor()
	for k, v := c.Seek(indexKey(now.Add(time.Millisecond), "")); k != nil; k, v = c.Next() {
		a, err := decodeApproval(v)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b store.Approval) int {
		return cmp.Or(a.RequestedAt.Compare(b.RequestedAt.Time), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

func decodeApproval(v []byte) (store.Approval, error) {
	var a store.Approval
	if len(v) < sha256.Size {
		return a, store.Errorf(store.Internal, "an approval is damaged")
	}
	if err := json.Unmarshal(v[sha256.Size:], &a); err != nil {
		return a, store.Errorf(store.Internal, "an approval: %w", err)
	}
	return a, nil
}

// approvals checks every approval.
func (c *checker) approvals() {
	n := 0
	cur := c.tx.Bucket(bucketApprovals).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		n++
		a, err := decodeApproval(v)
		switch decided, asks := a.Decided(), a.Asks(); {
		case err != nil:
			c.bad("approval %x: %w", k, err)
		case !bytes.Equal(k, approvalKey(&a)) || !bytes.HasPrefix(v, asks[:]):
			c.bad("approval %q is kept as %x", a.ID, k)
		case a.Status != store.ApprovalPending && (a.DecidedBy == "" || len(a.Call) > 0 || a.RequestedBy != decided.RequestedBy):
			c.bad("approval %q is %s and holds more than it may, or not who decided", a.ID, a.Status)
		}
	}
	if n > store.MaxApprovals {
		c.bad("%d approvals are kept; want at most %d", n, store.MaxApprovals)
	}
}
