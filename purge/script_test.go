package purge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// script is a target whose calls are answered by a function, which gets the
// number of the call, from 1. It notes when each began.
type script struct {
	name   string
	answer func(ctx context.Context, n int, c call) (purge.Removed, error)

	mu       sync.Mutex
	began    []time.Time
	calls    []call
	requests []purge.Request
	now, top int // calls under way, and the most of them
}

func (s *script) Name() string      { return s.name }
func (*script) Kinds() []store.Kind { return store.Kinds() }
func (s *script) at() []time.Time   { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.began) }
func (s *script) most() int         { s.mu.Lock(); defer s.mu.Unlock(); return s.top }

func (s *script) call(ctx context.Context, c call) (purge.Removed, error) {
	s.mu.Lock()
	s.began, s.calls = append(s.began, time.Now()), append(s.calls, c)
	n := len(s.began)
	s.now++
	s.top = max(s.top, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()
	return s.answer(ctx, n, c)
}

func (s *script) Count(ctx context.Context, id string, kind store.Kind) (int64, error) {
	did, err := s.call(ctx, call{s.name, "count", id, kind, false})
	return did.Deleted, err
}

func (s *script) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	return s.call(ctx, call{s.name, "purge", r.TenantID, r.Kind, r.Resumed})
}

// seen is an observer that keeps what it was told.
type seen struct {
	mu    sync.Mutex
	lines []string
}

func (s *seen) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *seen) TargetRequest(target, op string, took time.Duration) {
	s.add("request %s %s %s", target, op, took)
}
func (s *seen) TargetUp(target string, up bool)       { s.add("up %s %t", target, up) }
func (s *seen) TargetRetried(target string)           { s.add("retried %s", target) }
func (s *seen) TargetPostponed(target, reason string) { s.add("postponed %s %s", target, reason) }
func (s *seen) wantOf(t *testing.T, prefix string, lines ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []string
	for _, l := range s.lines {
		if strings.HasPrefix(l, prefix) {
			got = append(got, l)
		}
	}
	if !slices.Equal(got, lines) {
		t.Errorf("the observer was told %q, want %q", got, lines)
	}
}

// plain is a policy without retries, breaker, or bounds that matter.
func plain() purge.Policy {
	p := purge.DefaultPolicy()
	p.Concurrency, p.Retries, p.BreakerFailures = 1024, 0, 0
	return p
}

func guarded(t testing.TB, target purge.Target, p purge.Policy, o ...purge.GuardOptions) *purge.GuardedTarget {
	t.Helper()
	g, err := purge.Guarded(target, p, append(o, purge.GuardOptions{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// step removes up to 100 users of a tenant.
func step(g purge.Target, tenant string) (purge.Removed, error) {
	return g.Purge(context.Background(), purge.Request{TenantID: tenant, Kind: store.KindUser, Limit: 100})
}

func fine(context.Context, int, call) (purge.Removed, error) { return purge.Removed{Deleted: 1}, nil }

// failingWith answers with errors, the last for ever.
func failingWith(errs ...error) func(context.Context, int, call) (purge.Removed, error) {
	return func(_ context.Context, n int, _ call) (purge.Removed, error) {
		return purge.Removed{}, errs[min(n, len(errs))-1]
	}
}

var errDown = store.Errorf(store.Unavailable, "connection refused")

// askedToWait is an error of a system that says how long.
type askedToWait struct{ d time.Duration }

func (askedToWait) Error() string               { return "too many requests" }
func (e askedToWait) RetryAfter() time.Duration { return e.d }
func (askedToWait) Unwrap() error               { return store.Errorf(store.Exhausted, "429") }
