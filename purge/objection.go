package purge

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// objection is what targets have against the claim of a subtree; the zero one is
// nothing.
type objection struct {
	// by is the tenant that causes it.
	by    string
	block *store.Block
	// err is errStopped, a *failure of a target that did not answer, or of the store.
	err error
}

func (o objection) none() bool { return o.block == nil && o.err == nil }

// rank orders objections: one that is known comes before one that is not.
func (o objection) rank() int {
	switch {
	case errors.Is(o.err, errStopped):
		return 0
	case o.block != nil:
		return 1
	}
	return 2
}

// subscriptions is that of the engine. It remembers, for the tenants between the
// top and the one that objects, that they cannot be claimed either: depth is data,
// and nobody is asked again for each one of a long line.
func (p *pass) subscriptions(ctx context.Context, s *settings, top string) objection {
	if len(p.e.counters) == 0 {
		return objection{}
	}
	family, err := p.e.family(ctx, top)
	if err != nil {
		return objection{by: top, err: err}
	}
	said := p.e.subscriptions(ctx, s, family)
	if len(said) == 0 {
		return objection{}
	}
	if errors.Is(said[0].err, errStopped) {
		return said[0]
	}
	parent := make(map[string]string, len(family))
	for _, k := range family {
		parent[k.id] = k.parent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range said {
		for id := o.by; id != top; id = parent[id] {
			if _, known := p.objections[id]; known {
				break
			}
			p.objections[id] = o
		}
	}
	return said[0]
}

// objected returns what a question about a tenant above has found against the
// claim of this one, if anything.
func (p *pass) objected(id string) (objection, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.objections[id]
	return o, ok
}

// unanswered takes a tenant that was not claimed because a target did not say what
// it had to say before.
func (p *pass) unanswered(id string, date time.Time, f *failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows.add(Row{ID: id, Outcome: OutcomeRetrying, Error: printable(f), EstimatedPurgeDate: store.Timestamp{Time: date}}, 0)
	if p.dry {
		return
	}
	log := p.e.log.Warn
	if isPostponed(f) {
		p.excused[id] = true
		log = p.e.log.Info
	} else {
		p.e.metrics.PurgeFailed(f.target, "", string(store.CodeOf(f)))
		if len(p.silent) < MaxRows {
			p.silent[id] = true
		}
	}
	log("tenant not purged yet", zap.String("tenant", id), zap.String("outcome", string(OutcomeRetrying)),
		zap.String("target", f.target), zap.String("error", printable(f)))
}

// silentLast yields the candidates with those at the end about whom, or about one
// above whom, the source, or a target that was asked for subscriptions, had no answer
// in the pass before. Else the oldest one, if it cannot be answered about, would be
// the one question by which a breaker that is half open, or the patience with the
// source, decides, pass after pass, and nobody else would be purged (G11).
func (p *pass) silentLast(list iter.Seq2[candidate, error]) iter.Seq2[candidate, error] {
	if len(p.e.silent) == 0 {
		return list
	}
	silent := func(id string) bool { return p.e.silent[id] }
	return func(yield func(candidate, error) bool) {
		var last []candidate
		for c, err := range list {
			if err == nil && !c.resume && (silent(c.ID) || slices.ContainsFunc(c.DueAbove, silent)) {
				last = append(last, c)
			} else if !yield(c, err) {
				return
			}
		}
		for _, c := range last {
			if !yield(c, nil) {
				return
			}
		}
	}
}
