package purge

import (
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// Accountant is a target whose system itself keeps an account of what each purge
// removed, written in the transactions that remove it. With it the counts are
// exact also after this process, or an answer, was lost (G5).
type Accountant interface {
	// KeepsAccount reports whether everything that is removed from now on is on
	// account. See [Request.OnAccount] for what holds after it said so.
	KeepsAccount(ctx context.Context) (bool, error)
	// Account returns what the purge has removed so far, by kind. A purge that
	// has no account has removed nothing.
	Account(ctx context.Context, purgeID string) (store.Counts, error)
}

// opens reports whether a target keeps an account of the claim from the
// beginning: nothing was removed yet, or only by targets that have kept one.
func (w *cascade) opens(ctx context.Context, t *target) (bool, error) {
	if t.books == nil {
		return false, nil
	}
	if p := w.claim.Tenant.Purge; p != nil {
		for name := range p.Targets {
			if !p.HasAccount(name) {
				return false, nil // also what claims of descendants had removed
			}
		}
	}
	// It takes no turn of a policy: the system is not asked as a rule.
	keeps, err := attempt(context.WithoutCancel(ctx), caller{name: t.name, log: w.e.log}, opCount, w.s.CallTimeout, t.books.KeepsAccount)
	if err != nil {
		return false, &failure{target: t.name, err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened[t.name] = keeps
	return keeps, nil
}

// ask has a target answer what changes nothing, as a count is answered.
func ask[T any](ctx context.Context, w *cascade, t *target, fn func(context.Context) (T, error)) (T, error) {
	return call(ctx, w.e, t, opCount, w.s.CallTimeout, func(ctx context.Context) (T, error) {
		if t.guard == nil {
			return fn(ctx)
		}
		return answerOf(ctx, t.guard, opCount, w.top(), fn)
	})
}

// onAccount reports whether a target keeps an account of the claim.
func (w *cascade) onAccount(t *target) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.claim.Tenant.Purge
	return w.opened[t.name] || p != nil && p.HasAccount(t.name)
}

// settle completes, once the targets are empty, the counts that a crash or a
// lost answer made a lower bound, by the accounts that targets kept. What has no
// account stays a lower bound: that holds nothing up.
func (w *cascade) settle(ctx context.Context) error {
	if !slices.ContainsFunc(w.e.targets, func(t *target) bool { return t.books != nil }) {
		return nil
	}
	t, err := w.e.store.Tenant(context.WithoutCancel(ctx), w.top())
	if err != nil {
		return &storeError{err}
	}
	p := t.Purge
	if p == nil || !p.CountsInexact {
		return nil
	}
	return w.each(func(t *target) bool { return t.books != nil && p.HasAccount(t.name) }, func(t *target) error {
		held, err := ask(ctx, w, t, func(ctx context.Context) (store.Counts, error) { return t.books.Account(ctx, p.PurgeID) })
		switch {
		case errors.Is(err, errStopped):
			return err
		case err != nil && !answered(err):
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
