package purge

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tenantpurge/purger/store"
)

// climber is what a pass, or a plan, does with the tenants that it climbs.
type climber struct {
	// request is what every claim has in common.
	request func() store.ClaimRequest
	// try decides on a tenant and reports whether it is taken. surveyed says
	// that the survey of a tenant above knows of nothing that blocks it.
	try func(id string, surveyed bool) (taken bool)
	// blocked takes a tenant that is known to be blocked. With together above 1,
	// so many calls are made at a time, beside those of try.
	blocked  func(id string, b store.Block)
	together int
}

// trial is an attempt of this pass to claim a tenant. Each is made once, but for
// a purge that is to be retried: it may be resumed in the same pass.
type trial struct {
	decided chan struct{} // closed when taken is valid
	taken   bool
}

// survey is what blocks the tenants below one, by their ids. It is made once in
// a pass.
type survey struct {
	once   sync.Once
	blocks map[string]store.Block
}

// climb tries a candidate and before it, topmost first, its due ancestors, each
// once in a pass. It stops at the first one that is taken: the rest goes with
// it.
//
// Depth is data, and a tree may be one long line. So no tenant is looked at
// again for each one below it, neither here nor in the store: the line is
// entered below those that were tried before, and once the topmost one could
// not be taken, one survey tells what blocks the others.
func (p *pass) climb(ctx context.Context, c candidate, do climber) {
	line := c.DueAbove
	if c.resume {
		line = nil
	}
	at := func(i int) string {
		if i < len(line) {
			return line[i]
		}
		return c.ID
	}
	var known map[string]store.Block
	var refusals errgroup.Group
	refusals.SetLimit(max(do.together, 1))
	defer func() { _ = refusals.Wait() }() // they return no errors
	for i := p.entry(line); i <= len(line); i++ {
		if i > 0 && known == nil {
			known = p.below(ctx, at(0), do.request)
		}
		id := at(i)
		t, first := p.trial(id)
		if b, is := known[id]; is && first {
			refuse := func() {
				defer close(t.decided)
				if !p.over(ctx) {
					do.blocked(id, b)
				}
			}
			if do.together > 1 {
				refusals.Go(func() error { refuse(); return nil })
			} else {
				refuse()
			}
			continue
		}
		if first {
			if !p.over(ctx) {
				t.taken = do.try(id, i > 0)
			}
			close(t.decided)
		}
		// Whoever is deciding does not wait for anything below it.
		<-t.decided
		if t.taken || p.over(ctx) {
			return
		}
	}
}

// entry returns where to enter a line of ancestors, topmost first: at the lowest
// one that was tried before, or else at the top. Those above one that was tried
// were tried before it.
func (p *pass) entry(line []string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(line) - 1; i >= 0; i-- {
		if _, tried := p.tried[line[i]]; tried {
			return i
		}
	}
	return 0
}

// below returns what blocks the tenants below one that is due and was not taken.
// Without an answer of the store each of them is tried on its own.
func (p *pass) below(ctx context.Context, id string, request func() store.ClaimRequest) map[string]store.Block {
	p.mu.Lock()
	s := p.surveys[id]
	if s == nil {
		s = &survey{}
		p.surveys[id] = s
	}
	p.mu.Unlock()
	s.once.Do(func() {
		s.blocks = map[string]store.Block{}
		if blocks, err := p.e.store.Survey(ctx, id, request()); err == nil {
			s.blocks = blocks
		}
	})
	return s.blocks
}

// trial returns the attempt on a tenant, and whether the caller has to make it.
func (p *pass) trial(id string) (t *trial, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.tried[id]; ok {
		return t, false
	}
	t = &trial{decided: make(chan struct{})}
	p.tried[id] = t
	return t, true
}

// known reports whether the pass has tried a tenant already.
func (p *pass) known(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.tried[id]
	return ok
}
