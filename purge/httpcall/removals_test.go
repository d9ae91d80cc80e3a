package httpcall_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// took removes ids in a step, and returns how many of them count.
func took(s *httpcall.Step, ids ...string) (n int) {
	for _, id := range ids {
		if s.Removed(id) {
			n++
		}
	}
	return n
}

func TestRemovals_G5_AnIDCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := httpcall.NewRemovals()
		s := r.Begin("acme", "user")
		if n := took(s, "a", "b", "a"); n != 2 || !s.Settled("a") || s.Settled("c") || s.Listed() != 1 || s.Again() {
			t.Errorf("%d of a, b and a count; %d are listed", n, s.Listed())
		}
		s.End(false)
		for _, other := range []*httpcall.Step{r.Begin("acme", "apiKey"), r.Begin("globex", "user")} {
			if other.Settled("a") || !other.Removed("a") {
				t.Error("it is taken for removed where it was not")
			}
		}
		time.Sleep(20*time.Second - time.Nanosecond)
		if s = r.Begin("acme", "user"); !s.Settled("a") || !s.Settled("b") || s.Settled("c") {
			t.Error("what the step before removed is to be removed once more")
		}
		s.End(false)
		time.Sleep(time.Nanosecond)
		s = r.Begin("acme", "user")
		if s.Settled("a") {
			t.Error("20 s later it is still not believed that it may be a new one")
		}
		if n := took(s, "a", "c"); n != 1 || !s.Again() {
			t.Errorf("%d of a, again, and c count; again is %t", n, s.Again())
		}
		s.End(true)
		if s = r.Begin("acme", "user"); s.Settled("a") || took(s, "a") != 1 {
			t.Error("a purge that found nothing more is remembered")
		}
	})
}

func TestRemovals_WhatWasGoneIsNoRemoval(t *testing.T) {
	s := httpcall.NewRemovals().Begin("acme", "user")
	if !s.Gone("a") || s.Gone("a") || !s.Settled("a") || !s.Removed("b") || s.Gone("b") {
		t.Error("want a to be news once, and b to be removed and not gone")
	}
}

// Nothing is forgotten by a step that fails, however often the list was waited for.
func TestRemovals_G5_AStepThatFailsForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := httpcall.NewRemovals()
		s := r.Begin("acme", "user")
		took(s, "a")
		s.End(false)
		for range 3 {
			s = r.Begin("acme", "user")
			s.Settled("a")
			if err := s.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.End(false)
		}
		if s = r.Begin("acme", "user"); s.Removed("a") {
			t.Error("it counts twice")
		}
	})
}

func TestStep_WaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ timeout, atLeast, atMost time.Duration }{
			{time.Hour, 5 * time.Second, 10 * time.Second}, {4 * time.Second, time.Second, 3 * time.Second}, {100 * time.Millisecond, 0, 0},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
			s := httpcall.NewRemovals().Begin("acme", "user")
			began := time.Now()
			var err error
			for err == nil {
				took(s, "a")
				s.Settled("a")
				err = s.Wait(ctx)
			}
			if took := time.Since(began); store.CodeOf(err) != store.Precondition || took < c.atLeast || took > c.atMost {
				t.Errorf("of %s: %v after %s, want %s to %s", c.timeout, err, took, c.atLeast, c.atMost)
			}
			cancel()
		}
	})
}

func TestRemovals_MemoryIsBounded(t *testing.T) {
	r := httpcall.NewRemovals()
	var wg sync.WaitGroup
	for tenant := range 400 {
		wg.Go(func() {
			s := r.Begin(fmt.Sprint(tenant), "user")
			s.Removed("a")
			s.End(false)
		})
	}
	wg.Wait()
	remembered := 0
	for tenant := range 400 {
		if r.Begin(fmt.Sprint(tenant), "user").Settled("a") {
			remembered++
		}
	}
	if remembered != 256 {
		t.Errorf("%d tenants are remembered, want 256", remembered)
	}
	// Steps without end: those of the last ones.
	for i := range 10 {
		s := r.Begin("giant", "user")
		for j := range httpcall.MaxStep {
			s.Removed(fmt.Sprint(i, "-", j))
		}
		s.End(false)
	}
	remembered = 0
	for i := range 10 {
		for j := range httpcall.MaxStep {
			if r.Begin("giant", "user").Settled(fmt.Sprint(i, "-", j)) {
				remembered++
			}
		}
	}
	if remembered < httpcall.MaxStep || remembered > 2*httpcall.MaxStep {
		t.Errorf("%d ids are remembered, want those of the last step and at most as many again", remembered)
	}
}
