package purge

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// turnFor is how long a tenant keeps its place while others wait for one. It ends
	// with the call that is under way then.
	turnFor = 10 * time.Second
	// parkedMost is how many tenants for each place may wait for a place in the midst
	// of their purge. Each has goroutines, a lease to renew, and no way back.
	parkedMost = 16
)

// places are those in which a pass has tenants under way. Who waits for one gets it
// in this order: a tenant that begins before the giants that had a turn, and of them
// the one that waits longest. It is safe for concurrent use.
type places struct {
	mu      sync.Mutex
	all     int
	taken   int
	live    int           // tenants that are not done, with a place or without
	fresh   []*ticket     // of those that begin
	parked  []*ticket     // of those that had a turn
	drained chan struct{} // closed when none is live; nil when nobody asked
}

func newPlaces(n int) *places { return &places{all: n} }

// seat is the place of one tenant. A nil seat is never given up.
type seat struct {
	of *places

	mu    sync.Mutex
	since time.Time     // of the turn
	back  chan struct{} // closed when the place is had again; nil while it is
	lost  bool          // the context ended before
}

// ticket is the wait for a place. got is closed when there is one; given says so too.
type ticket struct {
	got   chan struct{}
	given bool
}

// take waits for a place for a tenant that begins; nil when ctx ends before.
func (p *places) take(ctx context.Context) *seat {
	p.mu.Lock()
	p.live++
	t := p.queue(&p.fresh)
	p.mu.Unlock()
	if !p.await(ctx, t) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.gone()
		return nil
	}
	return &seat{of: p, since: time.Now()}
}

// queue puts a new ticket at the end of a line, and gives out what is free. p.mu is
// held.
func (p *places) queue(line *[]*ticket) *ticket {
	t := &ticket{got: make(chan struct{})}
	*line = append(*line, t)
	p.serve()
	return t
}

// serve gives the places that are free to those that wait. Nobody begins while too
// many wait in the midst of their purge. p.mu is held.
func (p *places) serve() {
	first, then := &p.fresh, &p.parked
	if len(p.parked) > parkedMost*p.all {
		first, then = then, first
	}
	for _, line := range []*[]*ticket{first, then} {
		for p.taken < p.all && len(*line) > 0 {
			t := (*line)[0]
			*line = slices.Delete(*line, 0, 1)
			p.taken++
			t.given = true
			close(t.got)
		}
	}
}

// await waits for the turn of a ticket, and reports false when ctx ended before.
func (p *places) await(ctx context.Context, t *ticket) bool {
	select {
	case <-t.got:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.given { // just now
		p.taken--
		p.serve()
		return false
	}
	is := func(o *ticket) bool { return o == t }
	p.fresh, p.parked = slices.DeleteFunc(p.fresh, is), slices.DeleteFunc(p.parked, is)
	return false
}

// gone counts a tenant out. p.mu is held.
func (p *places) gone() {
	if p.live--; p.live == 0 && p.drained != nil {
		close(p.drained)
		p.drained = nil
	}
}

// empty waits for d at most until all tenants are done.
func (p *places) empty(d time.Duration) bool {
	p.mu.Lock()
	if p.live == 0 {
		p.mu.Unlock()
		return true
	}
	if p.drained == nil {
		p.drained = make(chan struct{})
	}
	drained := p.drained
	p.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-drained:
		return true
	case <-timer.C:
		return false
	}
}

// leave gives the place up for good.
func (s *seat) leave() {
	p := s.of
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.lost {
		p.taken--
		p.serve()
	}
	p.gone()
}

// keep is called between two calls. When the turn is over and somebody waits, it
// gives the place up, and returns once it has one again: what else calls it for the
// tenant waits with it. It returns errStopped when ctx ends
// before.
func (s *seat) keep(ctx context.Context) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	if s.lost {
		s.mu.Unlock()
		return errStopped
	}
	if back := s.back; back != nil {
		s.mu.Unlock()
		<-back // the one that waits heeds ctx
		return s.keep(ctx)
	}
	if time.Since(s.since) < turnFor {
		s.mu.Unlock()
		return nil
	}
	t := s.of.swap()
	if t == nil {
		s.mu.Unlock()
		return nil
	}
	back := make(chan struct{})
	s.back = back
	s.mu.Unlock()
	got := s.of.await(ctx, t)
	s.mu.Lock()
	s.since, s.back, s.lost = time.Now(), nil, !got
	s.mu.Unlock()
	close(back)
	if !got {
		return errStopped
	}
	return nil
}

// swap gives a place to whoever waits longest, and puts its tenant at the end of the
// line. nil: nobody waits.
func (p *places) swap() *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.fresh)+len(p.parked) == 0 {
		return nil
	}
	p.taken--
	return p.queue(&p.parked)
}
