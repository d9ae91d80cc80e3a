package ndjson

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// The bounds of what is compared or written with one call of the store.
const (
	batchRecords = 2000
	batchBytes   = 1 << 20
)

// compareTenants asks the store about every tenant that has its place in a
// tree, and sets the state of all.
func (im *importing) compareTenants(ctx context.Context) error {
	im.meter.begin(StageCheck, im.rows)
	pass, err := im.eachTenant()
	if err != nil {
		return err
	}
	var b tenantBatch
	for pass.next() {
		if err := im.meter.tick(ctx); err != nil {
			return err
		}
		if im.forest.state[pass.number] != stateSound {
			continue
		}
		t, err := decodeTenant(pass.present.encoded)
		if err != nil {
			return err
		}
		b.add(t, int32(pass.number), pass.present.line)
		if b.full() {
			if err := im.compareTenantBatch(ctx, &b); err != nil {
				return err
			}
		}
	}
	if pass.err != nil {
		return pass.err
	}
	if err := im.compareTenantBatch(ctx, &b); err != nil {
		return err
	}
	im.forest.settle()
	return nil
}

// tenantBatch is a batch of tenants with their places.
type tenantBatch struct {
	tenants []store.Tenant
	numbers []int32
	lines   []int64
	bytes   int
}

func (b *tenantBatch) add(t store.Tenant, number int32, line int64) {
	b.tenants, b.numbers, b.lines = append(b.tenants, t), append(b.numbers, number), append(b.lines, line)
	b.bytes += tenantSize(&t)
}

func (b *tenantBatch) full() bool { return len(b.tenants) >= batchRecords || b.bytes >= batchBytes }

// compareTenantBatch compares what is in b and empties it.
func (im *importing) compareTenantBatch(ctx context.Context, b *tenantBatch) error {
	if len(b.tenants) == 0 {
		return nil
	}
	out, err := im.o.Store.Compare(ctx, store.Batch{Tenants: b.tenants})
	if err != nil {
		return fmt.Errorf("compare with the store: %w", err)
	}
	for i := range b.tenants {
		t, v, line := &b.tenants[i], b.numbers[i], b.lines[i]
		st := stateAbsent
		switch o := out.Tenants[i]; o {
		case store.OutcomeUnchanged:
			st = stateKept
		case store.OutcomeConflict:
			st = stateConflict
			im.conflictTenant(ctx, line, t)
		case store.OutcomePurged:
			st = statePurged
		default: // not in the store: for one whose parent is in the input, settle decides
			switch {
			case im.forest.parent[v] == parentNone || im.forest.parent[v] == parentOutside && o == store.OutcomeNew:
				st = stateNew
			case im.forest.parent[v] == parentOutside:
				st = stateUnknown
				im.refuse(line, t.ID, parentError("tenant %q is neither in the input nor in the store", t.ParentID))
			}
		}
		im.forest.state[v] = st
	}
	*b = tenantBatch{}
	return nil
}

// conflictTenant keeps the conflict of a tenant, naming what differs.
func (im *importing) conflictTenant(ctx context.Context, line int64, t *store.Tenant) {
	what := ""
	if im.conflicts.wants(line) {
		if kept, err := im.o.Store.Tenant(ctx, t.ID); err == nil {
			what = " in " + strings.Join(differences(&kept, t), ", ")
		}
	}
	im.conflict(line, t.ID, "", "differs from the tenant that is kept%s", what)
}

// conflict keeps a conflict.
func (im *importing) conflict(line int64, id, field, format string, args ...any) {
	im.conflicts.add(LineError{Line: line, ID: id, Field: field, Err: store.Errorf(store.Conflict, format, args...).At(field)})
}

// differences names the members in which two tenants differ, by the rule of
// [store.SameImport].
func differences(kept, want *store.Tenant) []string {
	same := map[member]bool{
		mParentID:            kept.ParentID == want.ParentID,
		mName:                kept.Name == want.Name,
		mHostname:            kept.Hostname == want.Hostname,
		mStatus:              kept.Status == want.Status,
		mDisabledAt:          kept.DisabledAt.Equal(want.DisabledAt),
		mPurgeAfterDays:      kept.PurgeAfterDays == want.PurgeAfterDays,
		mActiveSubscriptions: kept.ActiveSubscriptions == want.ActiveSubscriptions,
		mHold: (kept.Hold == nil) == (want.Hold == nil) && (kept.Hold == nil ||
			kept.Hold.Reason == want.Hold.Reason && kept.Hold.Until.Equal(want.Hold.Until)),
	}
	var differ member
	for m, ok := range same {
		if !ok {
			differ |= m
		}
	}
	return differ.names()
}

// planTenants counts the tenants by what is to become of them, and lays aside
// the new ones.
func (im *importing) planTenants(context.Context) error {
	for _, s := range im.forest.state {
		switch s {
		case stateNew:
			im.sum.Tenants.New++
		case stateKept:
			im.sum.Tenants.Unchanged++
		case stateConflict:
			im.sum.Tenants.Conflict++
		case statePurged:
			im.sum.Tenants.Skipped++
		}
	}
	if !im.willWrite() || !slices.Contains(im.forest.state, stateNew) {
		return nil
	}
	pass, err := im.eachTenant()
	if err != nil {
		return err
	}
	for pass.next() {
		v := pass.number
		if im.forest.state[v] != stateNew {
			continue
		}
		p := position{tree: uint32(im.forest.root[v]), depth: im.forest.depth[v], number: uint32(v)}
		if err := im.addTenant(p, pass.present.line, pass.present.encoded); err != nil {
			return err
		}
	}
	return pass.err
}
