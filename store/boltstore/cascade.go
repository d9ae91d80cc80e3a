package boltstore

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// maxError bounds the text of an error that is kept on a record, in bytes.
const maxError = 512

// fenced finds the claimed tenant of a token.
func (w *wtx) fenced(tok store.Token) (spot, *record, error) {
	at, r, err := w.find(tok.TenantID)
	if err != nil {
		if store.CodeOf(err) == store.Gone {
			err = store.Errorf(store.Conflict, "the claim on tenant %q is over: %w", tok.TenantID, err)
		}
		return at, nil, err
	}
	if r.Purge == nil || r.Status != store.StatusPurging || r.Purge.Fence != tok.Fence || r.Purge.LeaseEnd.IsZero() {
		return at, nil, store.Errorf(store.Conflict, "the claim on tenant %q was superseded", tok.TenantID)
	}
	return at, r, nil
}

// progress writes a changed progress.
func (w *wtx) progress(at spot, old *record, p *store.Progress) error {
	now := *old
	now.Purge = p
	return w.replace(at, old, &now)
}

// Record implements [store.Store].
func (s *Store) Record(ctx context.Context, tok store.Token, a store.Advance) error {
	return s.writeAt(ctx, background, a.At, func(w *wtx) error {
		at, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		p := *old.Purge
		p.Take(&a)
		return w.progress(at, old, &p)
	})
}

// Postpone implements [store.Store].
func (s *Store) Postpone(ctx context.Context, tok store.Token, f store.Failure) (store.Tenant, error) {
	var after store.Tenant
	err := s.writeAt(ctx, background, f.At, func(w *wtx) error {
		at, old, err := w.fenced(tok)
		if err != nil {
			return err
		}
		now := *old
		p := *old.Purge
		p.Attempts++
		p.LeaseEnd = store.Timestamp{}
		p.NextAttempt.Time, p.Awaits = store.Trim(f.Next), slices.Clone(f.Awaits)
		if f.Err != nil {
			p.LastError = clipError(f.Err.Error())
		}
		now.Purge = &p
		action := store.ActionPostpone
		if f.Next.IsZero() {
			action = store.ActionFail
			now.Status, now.Version, now.UpdatedAt = store.StatusFailed, old.Version+1, store.Trim(f.At)
		}
		if err := w.replace(at, old, &now); err != nil {
			return err
		}
		after = now.Tenant
		_, err = w.audit(store.Entry{
			At: store.Timestamp{Time: f.At}, Actor: p.ClaimedBy, Action: action, TenantID: tok.TenantID,
			FromStatus: old.Status, ToStatus: now.Status, FromVersion: old.Version, ToVersion: now.Version,
			Counts: &p.Deleted,
			// The text of an error may quote a resource: only its code stays.
			Detail: map[string]string{"attempts": itoa(int64(p.Attempts)), "code": string(store.CodeOf(f.Err)), "purge": p.PurgeID},
		})
		return err
	})
	if err != nil {
		return store.Tenant{}, err
	}
	s.erasing.end(tok)
	return after, nil
}

// clipError makes the text of an error fit to be kept.
func clipError(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if begin := store.Cut(s, maxError); begin != s {
		return begin + "..."
	}
	return s
}

// Yield implements [store.Store].
func (s *Store) Yield(ctx context.Context, tok store.Token, at time.Time) error {
	return s.Await(ctx, tok, store.Wait{At: at, Until: at})
}
