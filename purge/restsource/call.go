package restsource

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// askedToWait bounds a wait: the next sync, or the next pass, asks as well.
const askedToWait = 5 * time.Minute

// turns is when the API may be called. It is shared by all calls, so that one which
// is told to wait makes the others wait, too. It is safe for concurrent use.
type turns struct {
	rate *rate.Limiter

	mu    sync.Mutex
	after time.Time
}

// newTurns returns those of so many requests a second; 0 is no limit.
func newTurns(perSecond float64) *turns {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	return &turns{rate: rate.NewLimiter(limit, 1)}
}

// take waits for a turn. It returns an error at once when there is none before ctx
// ends.
func (t *turns) take(ctx context.Context) error {
	for {
		t.mu.Lock()
		wait := time.Until(t.after)
		t.mu.Unlock()
		if wait <= 0 {
			break
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return store.Errorf(store.Unavailable, "the API asked to wait for %s more, which is longer than there is time for", wait.Round(time.Second))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
	if err := t.rate.Wait(ctx); err != nil {
		return store.Errorf(store.Unavailable, "no turn by the rate: %w", err)
	}
	return nil
}

// put puts the next turn off.
func (t *turns) put(wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := time.Now().Add(wait); at.After(t.after) {
		t.after = at
	}
}

// do makes a call, once more whenever the API says for how long it wants to be left
// alone, as long as ctx has time for that.
func (s *Source) do(ctx context.Context, req httpcall.Request) (*httpcall.Response, error) {
	for try := 1; ; try++ {
		if err := s.turns.take(ctx); err != nil {
			return nil, unavailable(err)
		}
		a, err := s.call.Do(ctx, req)
		if err == nil {
			return a, nil
		}
		wait := httpcall.Pause(err, try)
		if wait <= 0 {
			return nil, unavailable(err)
		}
		s.turns.put(min(wait, askedToWait))
		if wait > askedToWait || try == httpcall.AskAgain {
			return nil, store.Errorf(store.Unavailable, "%w, and it asks to wait for %s more", err, wait)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return nil, store.Errorf(store.Unavailable, "%w, and it asks to wait for %s, which is longer than there is time for", err, wait)
		}
	}
}
