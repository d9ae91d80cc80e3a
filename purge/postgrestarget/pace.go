package postgrestarget

import (
	"time"

	"github.com/tenantpurge/purger/purge"
)

// shrink is by how much less is tried after a time-out. One costs so much, and
// leaves so little of the caller's patience, that halves would not do.
const shrink = 8

// quick reports whether twice as much would still be done in time.
func (t *Target) quick(took time.Duration) bool { return took <= t.cfg.StatementTimeout/4 }

// pace has how many rows may be tried at a time where each takes long to remove, as
// with a foreign key to them that has no index, by [call.lead]. It lasts until the
// tenant is gone, or rows prove to be quick again.
type pace struct{ memory[int64] }

// of returns the limit for a call, and whether it is less than its own.
func (p *pace) of(c call) (limit int64, lowered bool) {
	limit = int64(c.limit)
	if n, ok := p.get(c.lead()); ok && n < limit {
		return n, true
	}
	return limit, false
}

// lower notes that a call would have taken too long with a limit.
func (p *pace) lower(c call, limit int64) { p.set(c.lead(), max(limit/shrink, 1)) }

// raise notes that a call was quick with a limit.
func (p *pace) raise(c call, limit int64) {
	if _, ok := p.get(c.lead()); ok && 2*limit < int64(c.limit) {
		p.set(c.lead(), 2*limit)
		return
	}
	p.end(c)
}

// end forgets a call that has nothing left to do.
func (p *pace) end(c call) { p.forget(c.lead()) }

// inPace lets fn do a call with a limit that it is likely to reach in time, and
// with a smaller one when it was not, for as long as the caller waits. divisible
// says that fn heeds the limit.
func (t *Target) inPace(conn *lease, p *removing, divisible bool, fn func(limit int64) (purge.Removed, outcome)) (purge.Removed, outcome) {
	for {
		limit, _ := t.pace.of(p.call)
		began := time.Now()
		did, out := fn(limit)
		switch {
		case out.slow && divisible:
			t.pace.lower(p.call, limit)
			if did.Deleted > 0 {
				did.More = true
				return did, outcome{}
			}
			if limit > 1 && p.ctx.Err() == nil && !conn.lost() {
				continue
			}
		case out.err != nil:
		case !did.More:
			t.pace.end(p.call)
		case did.Deleted > 0 && t.quick(time.Since(began)):
			t.pace.raise(p.call, limit)
		}
		return did, out
	}
}
