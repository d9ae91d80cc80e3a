package targettest

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// countdown is a context that ends when it has been asked n times whether it
// has, which is in the midst of whatever a target does.
type countdown struct {
	done chan struct{}
	mu   sync.Mutex
	n    int
}

func newCountdown(n int) *countdown {
	c := &countdown{done: make(chan struct{}), n: n}
	if n == 0 {
		close(c.done)
	}
	return c
}

// tick counts down, and reports whether the context has ended.
func (c *countdown) tick(by int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n > 0 {
		if c.n = max(c.n-by, 0); c.n == 0 {
			close(c.done)
		}
	}
	return c.n == 0
}

// end ends the context.
func (c *countdown) end() { c.tick(math.MaxInt) }

// Deadline implements context.Context.
func (*countdown) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (*countdown) Value(any) any { return nil }

// Done implements context.Context.
func (c *countdown) Done() <-chan struct{} {
	c.tick(1)
	return c.done
}

// Err implements context.Context.
func (c *countdown) Err() error {
	if c.tick(1) {
		return context.Canceled
	}
	return nil
}

func cancelledBefore(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		const n = 8
		t.add("acme", kind, n)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if got, err := patient(t, func() (int64, error) { return t.sys.Target.Count(ctx, "acme", kind) }); err == nil && got != n {
			t.Errorf("Count(%s) with an ended context = %d without an error, want %d or an error", kind, got, n)
		}
		did, err := t.step(ctx, purge.Request{TenantID: "acme", Kind: kind, Limit: large})
		accounts(t, kind, n, did, err)
		t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large, Resumed: true})
	}
}

func cancelledMidway(t *trial) {
	for _, kind := range t.sys.Target.Kinds() {
		for after := range 12 {
			n := t.h.Many / 5
			t.add("acme", kind, n)
			ctx := newCountdown(after)
			did, err := t.step(ctx, purge.Request{TenantID: "acme", Kind: kind, Limit: large})
			ctx.end()
			accounts(t, kind, n, did, err)
			t.purge(purge.Request{TenantID: "acme", Kind: kind, Limit: large, Resumed: true})
			t.wantLeft("acme", kind, 0)
		}
	}
}

// accounts checks a step on n resources that was interrupted: what it reports
// is what is gone, unless its error says that the answer was lost, and then it
// is no more than that.
func accounts(t *trial, kind store.Kind, n int, did purge.Removed, err error) {
	t.Helper()
	left := t.left("acme", kind)
	gone := int64(n) - left
	lost := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		err != nil && store.CodeOf(err) == store.Internal
	switch {
	case lost && did.Deleted > gone, !lost && did.Deleted != gone:
		t.Errorf("an interrupted purge of %d %s: %d are gone, %d were reported with error %v", n, kind, gone, did.Deleted, err)
	case err == nil && !did.More && left != 0:
		t.Errorf("an interrupted purge of %d %s: no error, no more, and %d left", n, kind, left)
	}
	if purge.IsPermanent(err) {
		t.Errorf("an interrupted purge is permanent: %v", err)
	}
}

func brokenSystem(t *trial) {
	if t.sys.Break == nil {
		t.Skip("the harness cannot break its system")
	}
	for _, kind := range t.sys.Target.Kinds() {
		t.add("acme", kind, 3)
	}
	t.sys.Break()
	for _, kind := range t.sys.Target.Kinds() {
		if got, err := patient(t, func() (int64, error) { return t.sys.Target.Count(context.Background(), "acme", kind) }); err == nil {
			t.Errorf("Count(%s) of a broken system = %d without an error", kind, got)
		}
		did, err := t.step(context.Background(), purge.Request{TenantID: "acme", Kind: kind, Limit: large})
		if err == nil {
			t.Errorf("Purge of %s in a broken system = %+v without an error", kind, did)
		}
		if purge.IsPermanent(err) {
			t.Errorf("Purge of %s in a broken system is permanent: %v", kind, err)
		}
	}
}
