package boltstore

import (
	"context"
	"reflect"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, id string, up store.Update) (store.Tenant, error) {
	var after store.Tenant
	err := s.withHosts(ctx, func() (err error) { after, err = s.update(ctx, id, up); return err })
	if err != nil {
		return store.Tenant{}, err
	}
	return after, nil
}

// update is Update, once host names are in memory if it needs them.
func (s *Store) update(ctx context.Context, id string, up store.Update) (after store.Tenant, err error) {
	err = s.writeAt(ctx, foreground, up.At, func(w *wtx) error {
		at, old, err := w.find(id)
		if err != nil {
			return err
		}
		if up.Version != 0 && up.Version != old.Version {
			return store.Errorf(store.Conflict, "tenant %q has version %d, not %d", id, old.Version, up.Version).At("version")
		}
		var above *store.Tenant
		if !at.isRoot() {
			if above, err = at.tree.nearestInactive(old.parent); err != nil {
				return err
			}
		}
		now := *old
		if err := up.Change.Apply(&now.Tenant, above, up.Origin); err != nil {
			return err
		}
		if reflect.DeepEqual(&now, old) {
			after = old.Tenant
			return nil
		}
		if err := checkChange(&old.Tenant, &now.Tenant); err != nil {
			return err
		}
		if !strings.EqualFold(now.Hostname, old.Hostname) {
			if err := w.hostIsFree(id, now.Hostname); err != nil {
				return err
			}
		}
		now.Version = old.Version + 1
		now.UpdatedAt = store.Trim(up.At)
		now.Block = nil // what stood in the way may be gone: the next pass tells
		if err := w.replace(at, old, &now); err != nil {
			return err
		}
		after = now.Tenant
		action := up.Change.ActionOf(&old.Tenant, &now.Tenant)
		_, err = w.audit(store.Entry{
			At: store.Timestamp{Time: up.At}, Actor: up.Actor.ID, Action: action, TenantID: id,
			FromStatus: old.Status, ToStatus: now.Status, FromVersion: old.Version, ToVersion: now.Version,
			Detail: changeDetail(action, &old.Tenant, &now.Tenant),
		})
		return err
	})
	return after, err
}

// replace writes a changed record and moves it in the indexes.
func (w *wtx) replace(at spot, old, now *record) error {
	w.writes++
	if err := at.tree.putRecord(at.ord, now); err != nil {
		return err
	}
	if err := w.noteReactivated(now); err != nil {
		return err
	}
	return w.reindex(old, now, at.place)
}

// checkChange refuses what no change may do, whoever wrote it.
func checkChange(old, now *store.Tenant) error {
	if now.ID != old.ID || now.ParentID != old.ParentID {
		return store.Errorf(store.Invalid, "tenant %q: id and parentId never change", old.ID).At("parentId")
	}
	legal := now.Status == old.Status ||
		old.Status == store.StatusActive && now.Status == store.StatusDisabled ||
		old.Status == store.StatusDisabled && now.Status == store.StatusActive ||
		old.Status == store.StatusFailed && now.Status == store.StatusPurging
	if !legal {
		return store.Errorf(store.Precondition, "tenant %q is %s and cannot become %s", old.ID, old.Status, now.Status).At("status")
	}
	return now.Validate()
}

// changeDetail is what an audit entry tells of a change beyond status and
// version. Names and host names are told as changed, not what they are.
func changeDetail(a store.Action, old, now *store.Tenant) map[string]string {
	d := map[string]string{}
	switch a {
	case store.ActionDeactivate:
		d["purgeAfterDays"] = itoa(int64(now.PurgeAfterDays))
		d["estimatedPurgeDate"] = store.FormatTime(now.EstimatedPurgeDate)
	case store.ActionHold:
		if now.Hold != nil {
			d["reason"] = now.Hold.Reason
			d["until"] = store.FormatTime(now.Hold.Until)
		}
	}
	if old.Name != now.Name {
		d["name"] = "changed"
	}
	if old.Hostname != now.Hostname {
		d["hostname"] = "changed"
	}
	if old.ActiveSubscriptions != now.ActiveSubscriptions {
		d["activeSubscriptions"] = itoa(int64(now.ActiveSubscriptions))
	}
	if len(d) == 0 {
		return nil
	}
	return d
}
