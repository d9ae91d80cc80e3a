package restsource

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

const (
	// askAgain is how often one request is made that the API does not take now.
	askAgain = 10
	// askedToWait bounds a wait: the next sync, or the next pass, asks as well.
	askedToWait = 5 * time.Minute
)

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
		wait := pause(err, try)
		if wait <= 0 {
			return nil, unavailable(err)
		}
		s.turns.put(min(wait, askedToWait))
		if wait > askedToWait || try == askAgain {
			return nil, store.Errorf(store.Unavailable, "%w, and it asks to wait for %s more", err, wait)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return nil, store.Errorf(store.Unavailable, "%w, and it asks to wait for %s, which is longer than there is time for", err, wait)
		}
	}
}

// pause returns how long to wait after an error; 0 when it is not one to wait for. An
// API that only says that there were too many requests is left alone for longer and
// longer; one that is only not there is for the next sync.
func pause(err error, try int) time.Duration {
	var e *httpcall.Error
	if !errors.As(err, &e) {
		return 0
	}
	switch e.Status {
	case http.StatusServiceUnavailable:
		return e.Wait
	case http.StatusTooManyRequests:
		if e.Wait > 0 {
			return e.Wait
		}
		return time.Second << min(try-1, 5)
	}
	return 0
}
