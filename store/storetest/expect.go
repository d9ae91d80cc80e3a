package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tenantpurge/purger/store"
)

// wantCode fails the case unless err has the code. It demands an error that
// carries a code, not only one for which CodeOf finds a word.
func (e *env) wantCode(err error, want store.Code, what string) {
	e.t.Helper()
	if msg := codeDefect(err, want); msg != "" {
		e.t.Errorf("%s: %s", what, msg)
	}
}

// codeDefect returns what is wrong with err where the code is wanted.
func codeDefect(err error, want store.Code) string {
	if err == nil {
		return fmt.Sprintf("no error; want %s", want)
	}
	var coded *store.Error
	var blocked *store.BlockedError
	var gate *store.GateError
	if !errors.As(err, &coded) && !errors.As(err, &blocked) && !errors.As(err, &gate) {
		return fmt.Sprintf("error %q carries no code; want %s", err, want)
	}
	if got := store.CodeOf(err); got != want {
		return fmt.Sprintf("error %q (%s); want %s", err, got, want)
	}
	return ""
}

// wantField fails the case unless err has the code and names the field.
func (e *env) wantField(err error, want store.Code, field, what string) {
	e.t.Helper()
	e.wantCode(err, want, what)
	var coded *store.Error
	if errors.As(err, &coded) && coded.Field != field {
		e.t.Errorf("%s: error %q names field %q; want %q", what, err, coded.Field, field)
	}
}

// wantBlocked fails the case unless err is the block of top.
func (e *env) wantBlocked(err error, top string, reason store.BlockReason, causedBy string) {
	e.t.Helper()
	var b *store.BlockedError
	if !errors.As(err, &b) {
		e.t.Fatalf("claim of %q: %v; want it blocked by %s of %q", top, err, reason, causedBy)
	}
	if b.TenantID != top || b.Block.Reason != reason || b.Block.By != causedBy {
		e.t.Errorf("claim of %q: %v; want it blocked by %s of %q", top, err, reason, causedBy)
	}
}

// wantGate fails the case unless err is a closed gate.
func (e *env) wantGate(err error, want store.GateReason, what string) {
	e.t.Helper()
	var g *store.GateError
	if !errors.As(err, &g) || g.Gate.Reason != want {
		e.t.Errorf("%s: %v; want the gate %s", what, err, want)
	}
}

// wantStatus fails the case unless the tenants have the status. Of a failed
// claim only the top is failed; its descendants stay past the point of return.
func (e *env) wantStatus(want store.Status, ids ...string) {
	e.t.Helper()
	for _, id := range ids {
		if got := e.tenant(id).Status; got != want {
			e.t.Errorf("tenant %q is %s; want %s", id, got, want)
		}
	}
}

// wantGone fails the case unless the tenants are purged.
func (e *env) wantGone(ids ...string) {
	e.t.Helper()
	for _, id := range ids {
		_, err := e.s.Tenant(e.ctx(), id)
		e.wantCode(err, store.Gone, fmt.Sprintf("Tenant(%q)", id))
		if _, err := e.s.Tombstone(e.ctx(), id); err != nil {
			e.t.Errorf("Tombstone(%q): %v", id, err)
		}
	}
}

// equal fails the case unless got is want.
func (e *env) equal(want, got any, what string) {
	e.t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		e.t.Errorf("%s (want -, got +):\n%s", what, diff)
	}
}

// changesNothing runs f and fails the case when the store is not the same
// afterwards.
func (e *env) changesNothing(what string, f func()) {
	e.t.Helper()
	before := e.snapshot()
	f()
	e.equal(before, e.snapshot(), what+" changed the store")
}

// entries returns the audit entries after the sequence number.
func (e *env) entries(after uint64) []store.Entry {
	e.t.Helper()
	all, err := auditFrom(e.ctx(), e.s, after+1)
	if err != nil {
		e.t.Fatalf("Audit: %v", err)
	}
	return all
}

// head returns the newest audit sequence number.
func (e *env) head() uint64 {
	e.t.Helper()
	return e.stats(t0).AuditHead.Seq
}

// auditFrom reads the audit trail page by page.
func auditFrom(ctx context.Context, s store.Store, from uint64) ([]store.Entry, error) {
	var all []store.Entry
	for {
		page, err := s.Audit(ctx, from, 100)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		from = page[len(page)-1].Seq + 1
	}
}

// verifyAudit verifies the chain with nothing but what an auditor has, and
// that the store names its end.
func verifyAudit(ctx context.Context, s store.Store) error {
	entries, err := auditFrom(ctx, s, 1)
	if err != nil {
		return err
	}
	var chain store.Chain
	for _, entry := range entries {
		if err := chain.Verify(entry); err != nil {
			return err
		}
	}
	st, err := s.Stats(ctx, t0)
	if err != nil {
		return err
	}
	if st.AuditHead != chain.Head() {
		return fmt.Errorf("the store says that the trail ends at %v; it ends at %v", st.AuditHead, chain.Head())
	}
	return nil
}
