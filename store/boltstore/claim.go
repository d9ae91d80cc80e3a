package boltstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// What one transaction may remove. A whole tree is dropped as a bucket; parts
// of one are removed key by key.
const (
	inlineTenants = 2048
	inlineRows    = 4096
	// wholeRows bounds the bucket of a whole tree, which is dropped at once.
	wholeRows = segmentRows
)

// decision is what a claim finds.
type decision struct {
	at      spot
	top     *record
	nodes   []node // the subtree, deepest first, top last
	counts  store.Counts
	refusal error
	block   *store.Block // set with a refusal by a block
	limit   string       // set with a refusal by a limit
	why     string       // how the limit was hit
	// allowance is how much of the gates' allowance the claim uses up.
	allowance int64
	// held is what a scan of the resources found; nil when there was none.
	held tally
}

// decide makes the decision of [store.Store.Claim] in a transaction that only
// reads.
func decide(tx *bolt.Tx, id string, req *store.ClaimRequest, st *state) (*decision, error) {
	at, top, err := find(tx, id)
	if err != nil {
		return nil, err
	}
	d := &decision{at: at, top: top}
	if req.Known == nil {
		if err := d.read(); err != nil {
			return nil, err
		}
	}
	d.refusal = d.refuse(req, st)
	return d, nil
}

// decide makes the decision of a claim, of what was read before if that still
// holds.
func (w *wtx) decide(id string, req *store.ClaimRequest) (*decision, error) {
	d, err := w.foreseen(id)
	if d == nil && err == nil {
		d = &decision{}
		if d.at, d.top, err = w.find(id); err == nil && req.Known == nil {
			err = d.read()
		}
	}
	if err != nil {
		return nil, err
	}
	d.refusal = d.refuse(req, w.state())
	return d, nil
}

// read reads the subtree and the counters of its resources.
func (d *decision) read() error {
	var err error
	if d.nodes, err = d.at.tree.subtree(d.at.ord); err != nil {
		return err
	}
	for i := range d.nodes {
		c, err := d.at.tree.countsOf(d.nodes[i].ord)
		if err != nil {
			return err
		}
		d.counts = d.counts.Plus(c)
	}
	d.counts.SubTenants = int64(len(d.nodes) - 1)
	return nil
}

// refuse returns the first reason not to claim, in the order of the contract.
func (d *decision) refuse(req *store.ClaimRequest, st *state) error {
	t := &d.top.Tenant
	if gates := st.gates.Closed(req.At); len(gates) > 0 {
		return &store.GateError{Gate: gates[0]}
	}
	switch {
	case req.Version != 0 && req.Version != t.Version:
		return store.Errorf(store.Conflict, "tenant %q has version %d, not %d", t.ID, t.Version, req.Version).At("version")
	case t.Status != store.StatusDisabled:
		return store.Errorf(store.Precondition, "tenant %q is %s; only a disabled tenant can be purged", t.ID, t.Status)
	case !req.Immediate && t.CheckDate() == nil && !t.Due(req.At):
		return store.Errorf(store.Precondition, "tenant %q may not be purged before %s", t.ID, store.FormatTime(t.EstimatedPurgeDate))
	}
	d.block = req.Known
	for i := range d.nodes {
		n := &d.nodes[i]
		d.block = store.Worse(t.ID, d.block, blockOf(n, req, n.ID == t.ID, st.leased))
	}
	if d.block != nil {
		return &store.BlockedError{TenantID: t.ID, Block: *d.block}
	}
	return d.exceed(req, st)
}

// blockOf returns what one tenant of a subtree gives as a reason not to claim
// it. top says that it is the one to be claimed.
func blockOf(n *node, req *store.ClaimRequest, top bool, leased func(*store.Progress, time.Time) bool) *store.Block {
	b := store.BlockOf(&n.Tenant, req.At, req.Protected, top, req.Immediate)
	if b == nil && n.Purge != nil && leased(n.Purge, req.At) {
		b = &store.Block{Reason: store.BlockPurging, By: n.ID}
	}
	return b
}

// exceed returns the error of a limit that the claim would exceed beyond what
// the gates' allowance covers.
func (d *decision) exceed(req *store.ClaimRequest, st *state) error {
	n := int64(len(d.nodes))
	used := st.used(req.At)
	known := st.kept + used
	used += req.Ahead
	var (
		beyond int64 // how many of the n tenants no limit allows
		limit  string
		why    string
	)
	exceeds := func(name string, over int64, format string, args ...any) {
		if over = min(max(over, 0), n); over > beyond {
			beyond, limit, why = over, name, fmt.Sprintf(format, args...)
		}
	}
	if most := req.Limits.PerDay; most > 0 {
		exceeds("limits.perDay", used+n-most,
			"%d taken in the last 24 h and %d by %q are more than %d", used, n, d.top.ID, most)
	}
	if share := req.Limits.PerDayShare; share > 0 {
		most := max(int64(math.Floor(share*float64(known))), req.Limits.ShareFloor)
		exceeds("limits.perDayShare", used+n-most,
			"%d taken in the last 24 h and %d by %q are more than %d of %d", used, n, d.top.ID, most, known)
	}
	exceeds("limits.perPass", min(req.Quota.Beyond(d.top.ID, req.Ahead+n), n),
		"%d by %q and those before it are more than the %d of one pass", n, d.top.ID, req.Quota.Max())
	if beyond > 0 && beyond > st.gates.Allowance-req.BeyondAhead {
		d.limit, d.why = limit, why
		return store.Errorf(store.Exhausted, "%s: %s", limit, why)
	}
	d.allowance = beyond
	return nil
}

// state is what a decision needs to know of the store as a whole.
type state struct {
	gates store.Gates
	// kept counts the tenants that no claim took.
	kept   int64
	used   func(now time.Time) int64
	leased func(p *store.Progress, now time.Time) bool
}

// state returns that of a write transaction.
func (w *wtx) state() *state {
	return &state{gates: w.gates, kept: w.totals.kept(), used: w.window.sum, leased: w.s.leased}
}

// state returns that of the last commit.
func (s *Store) state() *state {
	s.memMu.Lock()
	defer s.memMu.Unlock()
	return &state{gates: s.gates, kept: s.totals.kept(), used: s.window.sum, leased: s.leased}
}

// Assess implements [store.Store].
func (s *Store) Assess(ctx context.Context, id string, req store.ClaimRequest) (store.Assessment, error) {
	var a store.Assessment
	st := s.state() // not within the transaction: see Stats
	if req.OpenGates {
		st.gates = store.Gates{Allowance: st.gates.Allowance}
	}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		d, err := decide(tx, id, &req, st)
		if err != nil {
			return err
		}
		a = store.Assessment{
			Tenant: d.top.Tenant, Tenants: int64(len(d.nodes)),
			Counts: d.counts.Plus(absorbed(d)), Beyond: d.allowance, Refusal: d.refusal,
		}
		return nil
	})
	return a, err
}

// absorbed adds up what earlier claims of descendants removed already.
func absorbed(d *decision) store.Counts {
	var c store.Counts
	for i := range d.nodes {
		if p := d.nodes[i].Purge; p != nil {
			c = c.Plus(p.Deleted)
		}
	}
	return c
}

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, id string, req store.ClaimRequest) (store.Claim, error) {
	var (
		claim   store.Claim
		refusal error
	)
	reserved := false
	if err := store.CheckClock(req.At); err != nil {
		return store.Claim{}, err
	}
	if req.Known == nil {
		s.readAheadOf(ctx, id)
	}
	err := s.writeQueued(ctx, background, req.Queued, func(w *wtx) error {
		claim, refusal = store.Claim{}, nil
		d, err := w.decide(id, &req)
		if err != nil {
			return err
		}
		if d.refusal != nil {
			refusal = d.refusal
			return w.recordRefusal(d, &req)
		}
		if err := w.stepRoom(claimRoom(d.at.tree, d.nodes)); err != nil {
			return err
		}
		req.Quota.Take(id, int64(len(d.nodes)))
		reserved = true
		claim, err = w.claim(d, &req)
		return err
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		if reserved {
			req.Quota.Release(id)
		}
		return store.Claim{}, err
	}
	return claim, nil
}

// recordRefusal keeps a block on the record, and halts at a limit.
func (w *wtx) recordRefusal(d *decision, req *store.ClaimRequest) error {
	at := store.Timestamp{Time: req.At}
	if d.limit != "" {
		g := w.gates
		g.Halt = &store.Halt{Limit: d.limit, Detail: d.why, Since: store.Timestamp{Time: store.Trim(req.At)}}
		w.setGates(g)
		_, err := w.audit(store.Entry{
			At: at, Actor: req.Actor.ID, Action: store.ActionHalt, TenantID: d.top.ID,
			Detail: map[string]string{"limit": d.limit, "why": d.why},
		})
		return err
	}
	if d.block == nil || d.top.Block != nil && *d.top.Block == *d.block {
		return nil
	}
	if least := blockSchema(d.block.Reason); least > schemaFirst {
		if err := w.needSchema(least); err != nil {
			return err
		}
	}
	now := *d.top
	now.Block = d.block
	if err := w.replace(d.at, d.top, &now); err != nil {
		return err
	}
	_, err := w.audit(store.Entry{
		At: at, Actor: req.Actor.ID, Action: store.ActionBlock, TenantID: now.ID,
		FromStatus: now.Status, ToStatus: now.Status, FromVersion: now.Version, ToVersion: now.Version,
		Detail: map[string]string{"reason": string(d.block.Reason), "by": d.block.By},
	})
	return err
}

// claim takes the subtree of a decision that refused nothing.
func (w *wtx) claim(d *decision, req *store.ClaimRequest) (store.Claim, error) {
	at := store.Timestamp{Time: store.Trim(req.At)}
	id, err := uuid.NewV7()
	if err != nil {
		return store.Claim{}, store.Errorf(store.Internal, "make an id: %w", err)
	}
	w.totals.fence++
	w.dirty.totals = true
	w.window.add(req.At, int64(len(d.nodes)))
	if d.allowance > 0 {
		g := w.gates
		g.Allowance -= d.allowance
		w.setGates(g)
	}
	p := &store.Progress{
		PurgeID: id.String(), Fence: w.totals.fence, Owner: req.Owner,
		LeaseEnd:  store.Timestamp{Time: store.Trim(req.At.Add(req.Lease))},
		ClaimedAt: at, ClaimedBy: req.Actor.ID, Trigger: req.Trigger, Immediate: req.Immediate,
		NextAttempt: at, Tenants: int64(len(d.nodes)), Planned: d.counts,
	}
	p.Include(req.Holds)
	resumed, err := w.absorb(d, req, p)
	if err != nil {
		return store.Claim{}, err
	}
	old := *d.top
	top := *d.top
	top.Status, top.Version, top.UpdatedAt, top.Block, top.Purge = store.StatusPurging, old.Version+1, at.Time, nil, p
	entry := store.Entry{
		At: at, Actor: req.Actor.ID, Action: store.ActionClaim, TenantID: top.ID,
		FromStatus: old.Status, ToStatus: top.Status, FromVersion: old.Version, ToVersion: top.Version,
		Counts: &p.Planned, Detail: map[string]string{"trigger": req.Trigger, "purge": p.PurgeID},
	}
	if req.Immediate {
		entry.Detail["immediate"] = "true"
	}
	if _, err := w.audit(entry); err != nil {
		return store.Claim{}, err
	}
	// What targets held of a descendant is for the caller to see to.
	inline := req.Inline && len(p.Targets)+len(p.Holds) == 0 && d.fitsOne()
	if inline {
		// The subtree goes in this very transaction: its records are not
		// written again, only taken out of the indexes.
		p.LeaseEnd = store.Timestamp{}
		r, err := w.finish(d.at, &top, &old, d.nodes, d.held, store.Verification{At: req.At})
		if err != nil {
			return store.Claim{}, err
		}
		return store.Claim{Token: store.Token{TenantID: top.ID, Fence: p.Fence}, Tenant: top.Tenant, Receipt: &r}, nil
	}
	ids := make([]string, len(d.nodes))
	for i := range d.nodes {
		n := &d.nodes[i]
		ids[i] = n.ID
		now := top
		if n.ord != d.at.ord {
			now = *n.record
			now.Status, now.Block, now.Purge = store.StatusPurging, nil, nil
			if n.Status != store.StatusPurging {
				now.Version, now.UpdatedAt = n.Version+1, at.Time
			}
		}
		if err := w.replace(spot{place{d.at.place.tree, n.ord}, d.at.tree}, n.record, &now); err != nil {
			return store.Claim{}, err
		}
	}
	if err := d.at.tree.save(); err != nil {
		return store.Claim{}, err
	}
	return store.Claim{
		Token: store.Token{TenantID: top.ID, Fence: p.Fence}, Tenant: top.Tenant, Tenants: ids, Resumed: resumed,
	}, nil
}

// fitsOne reports whether one transaction can remove the subtree.
func (d *decision) fitsOne() bool {
	if d.at.isRoot() {
		return d.at.tree.fitsOne()
	}
	return len(d.nodes) <= inlineTenants && d.counts.Resources() <= inlineRows
}

// fitsOne reports whether one transaction can remove the whole tree.
func (t *tree) fitsOne() bool {
	h := &t.header
	return h.tenants <= inlineTenants && h.nextSeg == 1 && h.rows <= wholeRows && h.bytes <= segmentBytes
}
