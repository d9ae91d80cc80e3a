package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

func contextCases() []testCase {
	return []testCase{
		{"AnEndedContextChangesNothing", func(e *env) {
			e.populate()
			e.changeGates(due10, store.ResumePurging("", 0))
			cancelled, cancel := context.WithCancel(e.ctx())
			cancel()
			expired, cancelExpired := context.WithDeadline(e.ctx(), time.Unix(0, 0))
			defer cancelExpired()
			e.changesNothing("a change with an ended context", func() {
				for name, method := range changes(e.s) {
					e.wantContextError(method(cancelled), context.Canceled, name)
					e.wantContextError(method(expired), context.DeadlineExceeded, name)
				}
			})
		}},
		{"AnEndedContextMayEndARead", func(e *env) {
			e.populate()
			cancelled, cancel := context.WithCancel(e.ctx())
			cancel()
			for name, method := range reads(e.s) {
				if err := method(cancelled); err != nil {
					e.wantContextError(err, context.Canceled, name)
				}
			}
			// Those that read everything must not go on for nobody.
			e.wantContextError(e.s.Check(cancelled), context.Canceled, "Check")
		}},
		{"EndingWhileWaitingWithdrawsOrCompletes_G7", contextRace},
	}
}

// wantContextError fails the case unless err carries a code and wraps the
// context's error.
func (e *env) wantContextError(err, want error, what string) {
	e.t.Helper()
	var coded *store.Error
	if !errors.Is(err, want) || !errors.As(err, &coded) {
		e.t.Errorf("%s with an ended context: %v; want an error with a code that wraps %v", what, err, want)
	}
}

// contextRace ends contexts while changes wait for one another. Each of them
// is either there, or reported as not.
func contextRace(e *env) {
	const n = 200
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		ctx, cancel := context.WithCancel(e.ctx())
		wg.Go(func() {
			_, errs[i] = e.s.Create(ctx, store.Tenant{ID: fmt.Sprintf("t%d", i)}, by(t0))
		})
		if i%2 == 0 {
			wg.Go(cancel)
		} else {
			e.t.Cleanup(cancel)
		}
	}
	wg.Wait()
	made := 0
	for i, err := range errs {
		_, missing := e.s.Tenant(e.ctx(), fmt.Sprintf("t%d", i))
		if err == nil {
			made++
			if missing != nil {
				e.t.Errorf("acknowledged, and missing: %v", missing)
			}
			continue
		}
		if i%2 == 1 || !errors.Is(err, context.Canceled) {
			e.t.Errorf("Create: %v; its context ended: %v", err, i%2 == 0)
		}
	}
	// With an error the change may be there: only the acknowledged are certain.
	if got := int(e.stats(t0).Tenants[store.StatusActive]); got < made || got > n {
		e.t.Errorf("%d tenants; %d were acknowledged", got, made)
	}
}
