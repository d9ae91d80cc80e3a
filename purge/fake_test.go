package purge_test

import (
	"context"
	"sync"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// call is one call of a target.
type call struct {
	Target, Op, Tenant string
	Kind               store.Kind
	Resumed            bool
}

// journal gathers calls in the order in which they began.
type journal struct {
	mu    sync.Mutex
	calls []call
}

func (j *journal) add(c call) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls = append(j.calls, c)
}

func (j *journal) all() []call {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]call(nil), j.calls...)
}

// fake is a target in memory. Faults are functions that a test sets before the
// first call.
type fake struct {
	name    string
	kinds   []store.Kind // nil: all
	journal *journal     // may be nil
	// before is called ahead of an operation, and may refuse it or panic; after
	// is called when it has had its effect, and may lose the answer.
	before, after func(ctx context.Context, c call) error

	mu   sync.Mutex
	held map[string]store.Counts
	// books is what each purge has removed; nil: the target keeps no account.
	books map[string]store.Counts
}

func newFake(name string, held map[string]store.Counts) *fake {
	f := &fake{name: name, held: map[string]store.Counts{}}
	for id, c := range held {
		f.held[id] = c
	}
	return f
}

func (f *fake) Name() string { return f.name }

func (f *fake) Kinds() []store.Kind {
	if f.kinds == nil {
		return store.Kinds()
	}
	return f.kinds
}

func (f *fake) Count(ctx context.Context, id string, kind store.Kind) (int64, error) {
	c := call{Target: f.name, Op: "count", Tenant: id, Kind: kind}
	f.journal.add(c)
	if f.before != nil {
		if err := f.before(ctx, c); err != nil {
			return 0, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[id].Of(kind), nil
}

func (f *fake) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	f.journal.add(f.callOf(r))
	return f.remove(ctx, r)
}

func (f *fake) callOf(r purge.Request) call {
	return call{Target: f.name, Op: "purge", Tenant: r.TenantID, Kind: r.Kind, Resumed: r.Resumed}
}

// remove is Purge without a trace.
func (f *fake) remove(ctx context.Context, r purge.Request) (purge.Removed, error) {
	if f.before != nil {
		if err := f.before(ctx, f.callOf(r)); err != nil {
			return purge.Removed{}, err
		}
	}
	f.mu.Lock()
	if r.OnAccount && f.books == nil {
		f.mu.Unlock()
		return purge.Removed{}, store.Errorf(store.Precondition, "there are no books")
	}
	v := f.held[r.TenantID]
	n := min(int64(r.Limit), v.Of(r.Kind))
	v.Add(r.Kind, -n)
	f.held[r.TenantID] = v
	if f.books != nil {
		b := f.books[r.PurgeID]
		b.Add(r.Kind, n)
		f.books[r.PurgeID] = b
	}
	did := purge.Removed{Deleted: n, More: v.Of(r.Kind) > 0}
	f.mu.Unlock()
	if f.after != nil {
		if err := f.after(ctx, f.callOf(r)); err != nil {
			return purge.Removed{}, err
		}
	}
	return did, nil
}

// SeesAll implements [purge.Witness]: what is counted is what is removed.
func (f *fake) SeesAll() bool { return true }

// has returns what the target holds of a tenant.
func (f *fake) has(id string) store.Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[id]
}

// KeepsAccount implements [purge.Accountant].
func (f *fake) KeepsAccount(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.books != nil, nil
}

// Account implements [purge.Accountant].
func (f *fake) Account(ctx context.Context, purgeID string) (store.Counts, error) {
	c := call{Target: f.name, Op: "account"}
	f.journal.add(c)
	if f.before != nil {
		if err := f.before(ctx, c); err != nil {
			return store.Counts{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.books[purgeID], nil
}
