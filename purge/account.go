package purge

import (
	"context"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// Accountant is a target whose system itself keeps an account of what each purge
// removed, written in the transactions that remove it. With it the counts are
// exact also after this process, or an answer, was lost (G5).
type Accountant interface {
	// KeepsAccount reports whether everything that is removed from now on is on
	// account. It is quick.
	KeepsAccount(ctx context.Context) bool
	// Account returns what the purge has removed so far, by kind. A purge that
	// has no account has removed nothing.
	Account(ctx context.Context, purgeID string) (store.Counts, error)
}

// opens reports whether a target keeps an account of the claim from the
// beginning: nothing was removed yet, or only by targets that have kept one.
func (w *cascade) opens(ctx context.Context, t *target) bool {
	if t.books == nil {
		return false
	}
	if p := w.claim.Tenant.Purge; p != nil {
		for name := range p.Targets {
			if !p.HasAccount(name) {
				return false // also what claims of descendants had removed
			}
		}
	}
	return t.books.KeepsAccount(ctx)
}

// settle completes, once the targets are empty, the counts that a crash or a
// lost answer made a lower bound, by the accounts that targets kept. What has no
// account stays a lower bound: that holds nothing up.
func (w *cascade) settle(ctx context.Context) error {
	t, err := w.e.store.Tenant(context.WithoutCancel(ctx), w.top())
	if err != nil {
		return &storeError{err}
	}
	p := t.Purge
	if p == nil || !p.CountsInexact {
		return nil
	}
	err = w.each(func(t *target) bool { return t.books != nil && p.HasAccount(t.name) }, func(t *target) error {
		held, err := call(ctx, w.e, t, opCount, w.s.CallTimeout, func(ctx context.Context) (store.Counts, error) {
			return t.account(ctx, p)
		})
		if err != nil && !answered(err) {
			return &failure{target: t.name, err: err}
		}
		missing, ok := beyond(held, p.Targets[t.name])
		if err == nil && !ok {
			err = store.Errorf(store.Internal, "%+v are on account, and %+v on record", held, p.Targets[t.name])
		}
		if err != nil {
			w.e.log.Warn("counts stay a lower bound: the account of the purge does not tell", zap.String("tenant", w.top()),
				zap.String("target", t.name), zap.String("error", printable(err)))
			return nil
		}
		if missing != (store.Counts{}) {
			if err := w.record(ctx, store.Advance{Target: t.name, Deleted: missing}); err != nil {
				return err
			}
			w.e.metrics.ResourcesPurged(t.name, missing)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.settled = append(w.settled, t.name)
		return nil
	})
	if err == nil && len(w.failed) > 0 {
		err = w.failed
	}
	return err
}

// account asks the target for the account of a purge.
func (t *target) account(ctx context.Context, p *store.Progress) (store.Counts, error) {
	ask := func(ctx context.Context) (store.Counts, error) { return t.books.Account(ctx, p.PurgeID) }
	if t.guard == nil {
		return ask(ctx)
	}
	return answerOf(ctx, t.guard, opCount, p.PurgeID, ask)
}

// beyond returns by how much an account goes beyond what is on record, and false
// when it does not reach it.
func beyond(account, recorded store.Counts) (missing store.Counts, ok bool) {
	ok = true
	for _, k := range store.Kinds() {
		n := account.Of(k) - recorded.Of(k)
		missing.Add(k, n)
		ok = ok && n >= 0
	}
	return missing, ok
}
