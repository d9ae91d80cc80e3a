package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
	"pgregory.net/rapid"
)

// claimOnce draws a request, compares what Assess says, what Claim does and
// what the model expects, and takes the claim down. It returns nil when the
// claim was refused.
func (m *machine) claimOnce(t *rapid.T, edits ...func(*store.ClaimRequest)) *store.Claim {
	id := m.anyID(t)
	if c := m.dueIDs(); len(c) > 0 && !once(t, 4, "not due") {
		id = rapid.SampledFrom(c).Draw(t, "candidate")
	}
	req := request(m.now, edits...)
	req.Immediate = once(t, 4, "immediate")
	shield := ""
	if once(t, 8, "shield") {
		shield = m.anyID(t)
		protected(shield)(&req)
	}
	code, block := m.claimable(id, req.Immediate, shield)
	if m.missing(id) != "" && m.gate(false) != "" {
		t.Skip("an id that is not kept, with a closed gate: either may be said first")
	}
	a, aerr := m.e.s.Assess(m.e.ctx(), id, req)
	c, err := m.e.s.Claim(m.e.ctx(), id, req)
	want(t, err, code, "Claim(%q at %s)", id, store.FormatTime(m.now))
	var blocked *store.BlockedError
	switch {
	case errors.As(err, &blocked) != (block != nil):
		t.Fatalf("Claim(%q): %v; want the block %+v", id, err, block)
	case block != nil && block.Reason == store.BlockPurging:
		// Whether a lease is an end, and so which of several claims is named, is
		// the store's choice.
		by := m.tenants[blocked.Block.By]
		if b := blocked.Block; by == nil || b.Reason != block.Reason || m.blockOf(by, id, req.Immediate, shield) == nil {
			t.Fatalf("Claim(%q): blocked by %+v; want %+v or another like it", id, b, *block)
		}
		m.tenants[id].block = &blocked.Block
	case block != nil:
		if blocked.Block.Reason != block.Reason || blocked.Block.By != block.By || !blocked.Block.Until.Equal(block.Until.Time) {
			t.Fatalf("Claim(%q): blocked by %+v; want %+v", id, blocked.Block, *block)
		}
		m.tenants[id].block = block
	}
	if m.missing(id) != "" {
		want(t, aerr, m.missing(id), "Assess(%q)", id)
		return nil
	}
	if aerr != nil || !sameRefusal(a.Refusal, err) {
		t.Fatalf("Assess(%q) says %v, %v; Claim says %v", id, a.Refusal, aerr, err)
	}
	if err != nil {
		return nil
	}
	if sub := m.subtree(id); a.Tenants != int64(len(sub)) {
		t.Fatalf("Assess(%q) counts %d tenants; want %d", id, a.Tenants, len(sub))
	}
	m.take(id, c.Token.Fence, req.Lease, req.Immediate)
	if c.Tenant.Version != m.tenants[id].version {
		t.Fatalf("Claim(%q) gives version %d; want %d", id, c.Tenant.Version, m.tenants[id].version)
	}
	return &c
}

// dueIDs returns what a pass would look at.
func (m *machine) dueIDs() []string {
	var ids []string
	for _, c := range m.due() {
		ids = append(ids, c.ID)
	}
	return ids
}

func (m *machine) claim(t *rapid.T) {
	c := m.claimOnce(t)
	if c == nil {
		return
	}
	m.wantTenants(t, c.Tenant.ID, c.Tenants)
}

func (m *machine) wantTenants(t *rapid.T, id string, got []string) {
	var ids []string
	for _, tn := range m.subtree(id) {
		ids = append(ids, tn.id)
	}
	if !slices.Equal(ids, got) {
		t.Fatalf("the claim of %q lists %q; want %q", id, got, ids)
	}
}

func (m *machine) purgeInline(t *rapid.T) {
	c := m.claimOnce(t, inline)
	if c == nil {
		return
	}
	if c.Receipt == nil {
		m.wantTenants(t, c.Tenant.ID, c.Tenants)
		return // it goes on step by step
	}
	m.wantReceipt(t, c.Tenant.ID, *c.Receipt)
}

// wantReceipt compares a receipt with the model and finishes there.
func (m *machine) wantReceipt(t *rapid.T, id string, r store.Receipt) {
	c := m.claims[id]
	tenants, deleted := m.model.finish(id)
	if !slices.Equal(r.Tenants, tenants) || r.Deleted != deleted || r.TenantID != id || r.Remaining != (store.Counts{}) || !r.CountsExact && !c.lapsed || r.Immediate != c.immediate {
		t.Fatalf("receipt of %q: %+v; want %q, deleted %+v", id, r, tenants, deleted)
	}
	if diff := cmp.Diff(c.targets, r.Targets, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("receipt of %q, by target: %s", id, diff)
	}
}

// token draws the top of a claim and a token: mostly the newest, and one that
// is not.
func (m *machine) token(t *rapid.T) (string, store.Token, store.Code) {
	id := m.claimedID(t)
	c := m.claims[id]
	if !c.worked {
		t.Skip("nobody works on it")
	}
	if once(t, 6, "stale") {
		return id, store.Token{TenantID: id, Fence: c.fence - 1}, store.Conflict
	}
	return id, store.Token{TenantID: id, Fence: c.fence}, ""
}

func (m *machine) resume(t *rapid.T) {
	id := m.anyID(t)
	if ids := m.model.resumable(); len(ids) > 0 && !once(t, 3, "any") {
		id = rapid.SampledFrom(ids).Draw(t, "candidate")
	}
	code := m.resumeCode(id)
	if gate := m.gate(true); gate != "" {
		if code != "" {
			t.Skip("refused for two reasons")
		}
		code = gate
	}
	c, err := m.e.s.Resume(m.e.ctx(), id, request(m.now))
	if err != nil && code == store.Precondition && m.missing(id) == "" && m.claims[id] == nil && m.tenants[id].status.Irrevocable() {
		// Below the top of a claim either may be said.
		return
	}
	want(t, err, code, "Resume(%q)", id)
	if err != nil {
		return
	}
	old := m.claims[id]
	if c.Token.Fence <= old.fence {
		t.Fatalf("Resume(%q): fence %d after %d", id, c.Token.Fence, old.fence)
	}
	old.lapsed = old.lapsed || old.worked
	old.fence, old.worked, old.leaseEnd = c.Token.Fence, true, m.now.Add(lease)
	m.wantTenants(t, id, c.Tenants)
}

func (m *machine) retry(t *rapid.T) {
	id := m.anyID(t)
	if m.missing(id) != "" {
		t.Skip("not kept")
	}
	c := m.claims[id]
	if c != nil && c.worked && m.now.Before(c.leaseEnd) {
		t.Skip("a retry of what is under way")
	}
	_, err := m.e.s.Update(m.e.ctx(), id, store.Update{Origin: m.origin(), Change: store.Retry()})
	if c == nil {
		want(t, err, store.Precondition, "Retry of %q", id)
		return
	}
	want(t, err, "", "Retry of %q", id)
	m.tenants[id].status, c.attempts, c.next = store.StatusPurging, 0, m.now
}

func (m *machine) record(t *rapid.T) {
	id, tok, code := m.token(t)
	n := store.Counts{Users: int64(rapid.IntRange(0, 5).Draw(t, "users"))}
	target := rapid.SampledFrom([]string{"ldap", "scim"}).Draw(t, "target")
	want(t, m.e.s.Record(m.e.ctx(), tok, store.Advance{At: m.now, Lease: lease, Target: target, Planned: n, Deleted: n}), code, "Record(%v)", tok)
	if code == "" {
		c := m.claims[id]
		c.targets[target] = c.targets[target].Plus(n)
		c.leaseEnd = m.now.Add(lease)
	}
}

func (m *machine) erase(t *rapid.T) {
	id, tok, code := m.token(t)
	_, err := m.e.s.Erase(m.e.ctx(), tok, m.now, lease)
	want(t, err, code, "Erase(%v)", tok)
	if code == "" {
		m.claims[id].leaseEnd = m.now.Add(lease)
	}
}

func (m *machine) finishClaim(t *rapid.T) {
	id, tok, code := m.token(t)
	if once(t, 6, "remaining") {
		_, err := m.e.s.Finish(m.e.ctx(), tok, store.Verification{At: m.now, Remaining: store.Counts{Users: 1}})
		if err == nil {
			t.Fatalf("Finish(%v) with a remaining user succeeds", tok)
		}
		return
	}
	r, err := m.e.s.Finish(m.e.ctx(), tok, store.Verification{At: m.now})
	want(t, err, code, "Finish(%v)", tok)
	if code == "" {
		m.wantReceipt(t, id, r)
	}
}

func (m *machine) postpone(t *rapid.T) {
	id, tok, code := m.token(t)
	var next time.Time
	if d := rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Hour, day}).Draw(t, "wait"); d > 0 {
		next = m.now.Add(d)
	}
	got, err := m.e.s.Postpone(m.e.ctx(), tok, store.Failure{At: m.now, Err: errDown, Next: next})
	want(t, err, code, "Postpone(%v)", tok)
	if code != "" {
		return
	}
	c := m.claims[id]
	c.worked, c.next, c.attempts = false, next, c.attempts+1
	if next.IsZero() {
		m.tenants[id].status = store.StatusFailed
	}
	if got.Purge == nil || got.Purge.Attempts != c.attempts || got.Status != m.tenants[id].status {
		t.Fatalf("Postpone(%v) gives %s, %+v; want %s, %d attempts", tok, got.Status, got.Purge, m.tenants[id].status, c.attempts)
	}
}

func (m *machine) yield(t *rapid.T) {
	id, tok, code := m.token(t)
	want(t, m.e.s.Yield(m.e.ctx(), tok, m.now), code, "Yield(%v)", tok)
	if code == "" {
		m.claims[id].worked = false
	}
}
