package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// Witness is a target whose counts need no second look.
type Witness interface {
	// SeesAll reports whether a count and a step read the very place that the step
	// changes, in transactions: then what was counted and not removed was removed by
	// another, as by ON DELETE CASCADE, and the receipt has it under
	// [store.Receipt.Unaccounted]. A system that lists by way of an index, a cache or
	// a replica does not. It is constant.
	SeesAll() bool
}

// A target that counted a hundred thousand users, removed none and lists none was
// emptied by somebody else, or its list is wrong: a search index that is down, or
// behind, answers with an empty list. One look does not tell which (G6). So what is
// missing, and neither was found gone nor can be what a lost answer did not tell, has
// the target counted once more in an attempt of its own, after doubtFor. It says
// zero again, and nothing more was removed in between: then the tenant is finished,
// and the receipt, a metric and the log say what is missing. If more was removed, the
// earlier zero was wrong, and the next one is doubted like the first.
//
// Small differences are common and no sign of a list that is wrong, since that has
// all or much missing: keys expire while a purge goes on. A kind that goes by itself
// with another, as credentials with their users, costs one such wait a tenant.
const (
	// doubtFor is how long after the first look the second is. It makes out a system
	// that restarts, and is little beside a grace period.
	doubtFor = 5 * time.Minute
	// slackShare and slackMost bound the difference that is not doubted: a tenth,
	// and no more than a thousand. Nothing removed of something is always doubted.
	slackShare = 10
	slackMost  = 1000
	// excessLeast is how many more than were counted may be removed at the least: a
	// system goes on listing for a moment what is gone.
	excessLeast = 10
)

// excess returns how many more than n may be removed without a second look.
func excess(n int64) int64 { return max(n/slackShare, excessLeast) }

// tally is what is known of a target in a claim.
type tally struct {
	known bool // it was counted
	// counted is what there was when it was, and had been removed before; removed
	// and gone are on record.
	counted, removed, gone store.Counts
	lost                   map[store.Kind]bool // an answer was; "": about any kind
	before                 *store.Unaccounted  // found by an earlier attempt
}

// recall takes over what is on record of the claim.
func (w *cascade) recall() {
	p := w.claim.Tenant.Purge
	if p == nil {
		return
	}
	for name, c := range p.Targets {
		w.tallyOf(name).removed = c
	}
	for name, c := range p.Counted {
		v := w.tallyOf(name)
		v.known, v.counted = true, c
	}
	for name, c := range p.Gone {
		w.tallyOf(name).gone = c
	}
	for name, u := range p.Unaccounted {
		w.tallyOf(name).before = &u
	}
	for _, b := range p.Bounds() {
		w.tallyOf(b.Target).lost[b.Kind] = true
	}
}

// tallyOf returns the tally of a target. w.mu is held.
func (w *cascade) tallyOf(target string) *tally {
	v := w.tallies[target]
	if v == nil {
		v = &tally{lost: map[store.Kind]bool{"": w.claim.Resumed}}
		w.tallies[target] = v
	}
	return v
}

// note takes over what was put on record. w.mu is held.
func (w *cascade) note(a *store.Advance) {
	if a.Target == "" {
		return
	}
	v := w.tallyOf(a.Target)
	v.removed, v.gone = v.removed.Plus(a.Deleted), v.gone.Plus(a.Gone)
	if a.Counted != nil {
		v.known, v.counted = true, v.counted.Most(v.removed.Plus(*a.Counted))
	}
	for _, b := range a.LowerBounds {
		v.lost[b.Kind] = true
	}
}

// sees puts on record what a count found, unless a better one is: nothing was
// counted yet, or there is more than was known and nothing was removed. Else a list
// that is behind would be taken for more.
func (w *cascade) sees(ctx context.Context, t *target, n store.Counts) error {
	w.mu.Lock()
	v := w.tallyOf(t.name)
	better := !v.known || v.removed == (store.Counts{}) && n.Most(v.counted) != v.counted
	w.mu.Unlock()
	if !better {
		return nil
	}
	return w.record(ctx, store.Advance{Target: t.name, Counted: &n})
}

// unaccounted returns by how much what a target counted and what it removed differ,
// kind by kind, where that is more than goes unnoticed. missing is where it removed
// less. batch is the largest number of resources in a step.
func (v *tally) unaccounted(batch int) (differs, missing store.Counts) {
	if !v.known {
		return differs, missing
	}
	for _, k := range store.Kinds() {
		beyond := v.removed.Of(k) - v.counted.Of(k)
		short := -beyond - v.gone.Of(k)
		switch {
		case beyond > excess(v.counted.Of(k)):
			differs.Add(k, -beyond)
		case short > 0 && !v.explains(k, short, batch):
			differs.Add(k, short)
			missing.Add(k, short)
		}
	}
	return differs, missing
}

// explains reports whether it is no sign of a wrong list that so many of a kind were
// neither removed nor found gone.
func (v *tally) explains(k store.Kind, short int64, batch int) bool {
	if v.removed.Of(k) == 0 {
		return false
	}
	lost := v.lost[k] || v.lost[""] // the answer to a step, which may have removed them
	return short <= min(v.counted.Of(k)/slackShare, slackMost) || lost && short <= int64(batch)
}

// reconcile has the last word on whether the targets, which are empty as they say, are
// believed (G6). What is unaccounted for, and stays so, is kept for the receipt: of a
// [Witness] what somebody else removed.
func (w *cascade) reconcile(ctx context.Context) error {
	return w.each(func(*target) bool { return true }, func(t *target) error {
		w.mu.Lock()
		v := *w.tallyOf(t.name)
		w.mu.Unlock()
		differs, missing := v.unaccounted(w.s.Batch)
		if t.seesAll {
			differs = missing
		}
		if differs == (store.Counts{}) {
			return nil
		}
		if missing != (store.Counts{}) && !t.seesAll {
			now := time.Now()
			u := store.Unaccounted{At: store.Timestamp{Time: now}, Counts: differs}
			if v.before != nil && v.before.Counts == differs {
				u.At = v.before.At
			} else if err := w.record(ctx, store.Advance{Target: t.name, Unaccounted: &u}); err != nil {
				return err
			}
			if wait := u.At.Add(doubtFor).Sub(now); wait > 0 {
				t.track.left(w.top(), missing.Resources())
				return &failure{target: t.name, err: &doubtError{missing, v.counted, v.removed, wait}}
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.unaccounted == nil {
			w.unaccounted = map[string]store.Counts{}
		}
		w.unaccounted[t.name] = differs
		return nil
	})
}

// tellUnaccounted reports what a purge that is finished leaves unaccounted for. Of a
// [Witness] nothing is wrong.
func (w *cascade) tellUnaccounted() {
	for _, t := range w.e.targets {
		c, ok := w.unaccounted[t.name]
		if !ok {
			continue
		}
		say := w.e.log.Warn
		if t.seesAll {
			say = w.e.log.Debug
		} else {
			w.e.metrics.ResourcesUnaccounted(t.name, c)
		}
		say("what the target counted and what it removed differ; it lists nothing any more",
			zap.String("tenant", w.top()), zap.String("target", t.name), zap.Int64("oauthClients", c.OAuthClients),
			zap.Int64("apiKeys", c.APIKeys), zap.Int64("credentials", c.Credentials), zap.Int64("users", c.Users))
	}
}

// doubtError says that a target is not believed to be empty yet.
type doubtError struct {
	missing, counted, removed store.Counts
	wait                      time.Duration // until it is
}

func (d *doubtError) Error() string {
	var kinds []string
	for _, k := range store.Kinds() {
		if d.missing.Of(k) > 0 {
			kinds = append(kinds, fmt.Sprintf("%s: counted %d and lists none; removed %d", k, d.counted.Of(k), d.removed.Of(k)))
		}
	}
	return strings.Join(kinds, ", ") + ": to be counted once more"
}

// Unwrap gives the error its code.
func (*doubtError) Unwrap() error { return errDoubt }

// RetryAfter implements [RetryAfter]: the second look is not before it is worth
// something.
func (d *doubtError) RetryAfter() time.Duration { return d.wait }

var errDoubt = store.Errorf(store.Precondition, "what is missing is not accounted for")

// doubted reports whether nothing is wrong but that targets are to be counted once
// more. That spends an attempt, but is not what the last one is for.
func (fs failures) doubted() bool {
	return len(fs) > 0 && !slices.ContainsFunc(fs, func(f *failure) bool {
		var d *doubtError
		return !errors.As(f.err, &d)
	})
}
