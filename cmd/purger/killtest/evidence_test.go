package killtest

import (
	"slices"

	"github.com/tenantpurge/purger/store"
)

// judgeGone is about a tenant with a tombstone. It returns the top with which it
// was purged, if that is plausible.
func (o *oracle) judgeGone(t *tenant, stone store.Tombstone, s *snapshot, may map[*tenant]bool) *tenant {
	top := o.byID[stone.PurgedWith]
	if top == nil || !slices.Contains(top.subtree(), t) {
		o.complain("%s was purged with %s, which it is not below", t.id, stone.PurgedWith)
		return nil
	}
	if !may[top] {
		o.complain("%s was purged with %s, which may not be purged (%s)", t.id, top.id, top.spec)
	}
	for _, n := range top.subtree() {
		if _, dead := s.stones[n.id]; !dead && n.gone == nil {
			o.complain("%s was purged with %s, and %s of the same subtree was not", t.id, top.id, n.id)
		}
	}
	if want := t.holds; stone.Deleted != want {
		o.complain("the tombstone of %s counts %+v; imported were %+v", t.id, stone.Deleted, want)
	}
	t.gone = top
	return top
}

// judgeReceipt looks at the proof of a purge that was not seen before.
func (o *oracle) judgeReceipt(top *tenant, s *snapshot) {
	r, ok := s.receipts[top.id]
	if !ok {
		o.complain("%s was purged and has no receipt", top.id)
		return
	}
	var want store.Counts
	var members []*tenant
	for _, n := range top.subtree() {
		if n.gone == top {
			members = append(members, n)
			want = want.Plus(n.holds)
		}
	}
	want.SubTenants = int64(len(members) - 1)
	if r.Deleted != want || r.Planned != want {
		o.complain("the receipt of %s counts %+v planned and %+v deleted; imported were %+v", top.id, r.Planned, r.Deleted, want)
	}
	if top.seen != (store.Counts{}) && top.seen != want {
		o.complain("the purge of %s was acknowledged with %+v; imported were %+v", top.id, top.seen, want)
	}
	if !r.CountsExact || r.Remaining != (store.Counts{}) || r.ID == "" || r.TenantID != top.id {
		o.complain("the receipt of %s: id %q of %q, exact: %t, remaining: %+v", top.id, r.ID, r.TenantID, r.CountsExact, r.Remaining)
	}
	if r.Immediate && !top.delete {
		o.complain("the receipt of %s says that it was deleted at once; nobody has asked for that", top.id)
	}
	if !r.Immediate && r.DeletedAt.Before(r.EstimatedPurgeDate.Time) {
		o.complain("%s was purged at %s, before its date %s", top.id, r.DeletedAt, r.EstimatedPurgeDate)
	}
	if len(top.unsure) == 0 && (!r.DisabledAt.Equal(top.spec.disabledAt) || !r.EstimatedPurgeDate.Equal(top.spec.date())) {
		o.complain("the receipt of %s says disabled at %s, due %s; known is: %s", top.id, r.DisabledAt, r.EstimatedPurgeDate, top.spec)
	}
	o.judgeMembers(top, r.Tenants, members)
	o.receipts[top.id] = r.Digest()
}

// judgeMembers compares the tenants that a receipt lists.
func (o *oracle) judgeMembers(top *tenant, listed []string, members []*tenant) {
	var want []string
	for _, n := range members {
		want = append(want, n.id)
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(listed)); !slices.Equal(got, want) {
		o.complain("the receipt of %s lists %q; purged were %q", top.id, got, want)
		return
	}
	for i := 1; i < len(listed); i++ {
		if o.byID[listed[i-1]].depth < o.byID[listed[i]].depth {
			o.complain("the receipt of %s lists %s before the deeper %s", top.id, listed[i-1], listed[i])
		}
	}
}

// judgeOld looks again at what is left of tenants that were purged before, as
// far as the snapshot holds it.
func (o *oracle) judgeOld(s *snapshot) {
	for id, r := range s.receipts {
		if want := o.receipts[id]; want != "" && r.Digest() != want {
			o.complain("the receipt of %s has changed", id)
		}
	}
	for id, stone := range s.stones {
		if t := o.byID[id]; t.gone != nil && (stone.PurgedWith != t.gone.id || stone.Deleted != t.holds) {
			o.complain("the tombstone of %s has changed", id)
		}
	}
}

// judgeAudit verifies the new part of the audit trail and compares it with what
// was acknowledged.
func (o *oracle) judgeAudit(s *snapshot) {
	for _, e := range s.audit {
		if err := o.chain.Verify(e); err != nil {
			o.complain("%v", err)
			return
		}
		o.audited = e.Seq
		switch e.Action {
		case store.ActionImportOpen:
			o.closed = true
		case store.ActionImportDone:
			o.closed = false
		case store.ActionClaim:
			if o.closed {
				o.complain("audit entry %d: %s was claimed while an import was incomplete", e.Seq, e.TenantID)
			}
		case store.ActionPurge:
			if o.purges[e.TenantID] != "" {
				o.complain("audit entry %d: %s was purged twice", e.Seq, e.TenantID)
			}
			o.purges[e.TenantID] = e.Detail["receiptSha256"]
		case store.ActionCreate, store.ActionDeactivate, store.ActionReactivate, store.ActionHold, store.ActionRelease:
			if t := o.byID[e.TenantID]; t != nil {
				o.count(e.Action, t).audited++
			}
		}
	}
	for c, n := range o.answer {
		if n.audited < n.acknowledged || n.audited > n.acknowledged+n.unsure {
			o.complain("%s of %s: %d acknowledged, %d not answered, and %d in the audit trail", c.action, c.id, n.acknowledged, n.unsure, n.audited)
		}
	}
	clear(o.answer)
	for id, digest := range o.receipts {
		if o.purges[id] != digest {
			o.complain("the receipt of %s has the digest %.16s; the audit trail says %.16s", id, digest, o.purges[id])
		}
	}
	if len(o.purges) != len(o.receipts) {
		o.complain("the audit trail has %d purges, and there are %d receipts", len(o.purges), len(o.receipts))
	}
	if want := s.gates.Import != nil; o.closed != want {
		o.complain("the import gate is closed: %t; by the audit trail: %t", want, o.closed)
	}
}
