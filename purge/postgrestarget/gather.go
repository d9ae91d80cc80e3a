package postgrestarget

import (
	"context"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/store"
)

// maxGroup is of how many tenants calls are answered together at most. Beyond, a
// statement only grows longer.
const maxGroup = 2048

// parting is how long a call whose context has ended waits for an answer that
// is under way. It is less than the time after which the engine gives it up.
const parting = 3 * time.Second

// call is what a caller asks for.
type call struct {
	tenants []string // at least one
	kind    store.Kind
	// Of a purge.
	limit     int
	purge     string // its id
	subtree   []string
	onAccount bool
}

// key is what no two groups work on at a time.
type key struct {
	tenant string
	kind   store.Kind
}

// keys returns what the call works on.
func (c call) keys() iter.Seq[key] {
	return func(yield func(key) bool) {
		for _, id := range c.tenants {
			if !yield(key{id, c.kind}) {
				return
			}
		}
	}
}

// lead is by what the call is remembered.
func (c call) lead() key { return key{c.tenants[len(c.tenants)-1], c.kind} }

// pending is a call that waits for its answer.
type pending[R any] struct {
	call
	ctx  context.Context //nolint:containedctx // it is the caller's, who waits
	done chan struct{}
	fit  []string // those of the tenants that the tables can hold
	// Valid once done is closed.
	result R
	err    error
	// answered is set by the group that has the call; one without an answer
	// goes back to the head of the queue.
	answered bool
}

// answer sets the result of a call, once.
func (p *pending[R]) answer(result R, err error) {
	if !p.answered {
		p.result, p.err, p.answered = result, err, true
	}
}

// gatherer lets calls that wait at the same time be answered together: while
// one group is under way the next one gathers, so nobody waits for company. A
// group that takes long, because of a lock or a large tenant, does not hold up
// the others: another lane opens beside it. Two calls for a tenant and kind are
// never under way at a time.
type gatherer[R any] struct {
	run func(context.Context, []*pending[R])

	mu      sync.Mutex
	waiting []*pending[R]
	busy    map[key]bool
	// company holds in groups of how many calls, at most, those go that were
	// refused in a larger one, or would be bad company.
	company map[key]int
	lanes   int // all of them
	quick   int // those whose group does not take long yet
}

// maxLanes is how many groups are under way at most, and slow after how long one
// takes so long that another may begin beside it. More groups at a time would be
// smaller ones.
const (
	maxLanes = 4
	slow     = 25 * time.Millisecond
)

func newGatherer[R any](run func(context.Context, []*pending[R])) *gatherer[R] {
	return &gatherer[R]{run: run, busy: map[key]bool{}, company: map[key]int{}}
}

// do waits for the answer to a call. Once the context has ended, a call that
// was not begun is withdrawn without effect, and one that was has a moment left
// to tell what it did.
func (g *gatherer[R]) do(ctx context.Context, c call) (R, error) {
	var none R
	if ctx.Err() != nil {
		return none, withdrawn()
	}
	p := &pending[R]{call: c, ctx: ctx, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, p)
	g.start()
	g.mu.Unlock()
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
	}
	if g.withdraw(p) {
		return none, withdrawn()
	}
	timer := time.NewTimer(parting)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.result, p.err
	case <-timer.C:
		return none, ctx.Err()
	}
}

func withdrawn() error {
	return store.Errorf(store.Unavailable, "cancelled before it was begun")
}

// withdraw takes a call out of the queue, and reports whether it was there.
func (g *gatherer[R]) withdraw(p *pending[R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, p)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// start opens another lane if there is work for it. The caller holds mu.
func (g *gatherer[R]) start() {
	if g.quick > 0 || g.lanes == maxLanes {
		return
	}
	if group := g.take(); group != nil {
		g.lanes++
		g.quick++
		go g.lane(group)
	}
}

// lane works off groups until nothing waits that it could take, or another lane
// has taken its place.
func (g *gatherer[R]) lane(group []*pending[R]) {
	for group != nil {
		ended, late := false, false
		timer := time.AfterFunc(slow, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if !ended {
				late = true
				g.quick--
				g.start()
			}
		})
		g.runGroup(group)
		timer.Stop()
		g.mu.Lock()
		ended = true
		g.finish(group)
		if late {
			g.quick++
		}
		if group = nil; g.quick == 1 {
			group = g.take()
		}
		if group == nil {
			g.quick--
			g.lanes--
		}
		g.mu.Unlock()
	}
}

// finish hands out the answers of a group. What has none goes back to the head
// of the queue. The caller holds mu.
func (g *gatherer[R]) finish(group []*pending[R]) {
	var again []*pending[R]
	for _, p := range group {
		for k := range p.keys() {
			delete(g.busy, k)
		}
		if p.ctx.Err() != nil {
			var none R
			p.answer(none, withdrawn()) // nobody would hear of a further try
		}
		if p.answered {
			close(p.done)
		} else {
			again = append(again, p)
		}
	}
	g.waiting = append(again, g.waiting...)
}

// runGroup runs a group under a context that ends once every caller has gone.
// A panic is an error of the calls that have no answer yet: what they did is
// not known.
func (g *gatherer[R]) runGroup(group []*pending[R]) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var left atomic.Int64
	left.Store(int64(len(group)))
	stops := make([]func() bool, len(group))
	for i, p := range group {
		stops[i] = context.AfterFunc(p.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			for _, p := range group {
				var none R
				p.answer(none, store.Errorf(store.Internal, "a panic: %v", r))
			}
		}
	}()
	g.run(ctx, group)
}

// take removes the next group from the queue; nil when there is none. The
// caller holds mu.
func (g *gatherer[R]) take() []*pending[R] {
	var group, rest []*pending[R]
	most, tenants := maxGroup, 0
	for _, p := range g.waiting {
		company := most
		if n, ok := g.company[p.lead()]; ok {
			company = min(most, n)
		}
		if len(group) > 0 && (len(group) >= company || tenants+len(p.tenants) > maxGroup) || g.taken(p) {
			rest = append(rest, p)
			continue
		}
		most = company
		tenants += len(p.tenants)
		for k := range p.keys() {
			g.busy[k] = true
		}
		group = append(group, p)
	}
	g.waiting = rest
	return group
}

// taken reports whether another group works on a tenant of the call. The caller
// holds mu.
func (g *gatherer[R]) taken(p *pending[R]) bool {
	for k := range p.keys() {
		if g.busy[k] {
			return true
		}
	}
	return false
}

// maxCompany bounds what is remembered of calls that go in small groups.
const maxCompany = 10_000

// setCompany says in groups of how many calls, at most, those like one are to be
// tried; 0 is any number.
func (g *gatherer[R]) setCompany(k key, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n == 0 {
		delete(g.company, k)
		return
	}
	if len(g.company) >= maxCompany {
		clear(g.company)
	}
	g.company[k] = n
}
