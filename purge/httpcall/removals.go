package httpcall

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

// The bounds of [Removals].
const (
	// MaxStep is how many resources a step may remove that is to be remembered.
	MaxStep = 8192
	// mostListed is how many removed ones a list may show before a step looks no
	// further.
	mostListed = 4096
	// mostKept is how many tenants and kinds are remembered, and mostIDs how many
	// ids of each.
	mostKept, mostIDs = 256, 2 * MaxStep
	// believedFor is how long after a removal an id that is listed is that of the
	// removed, and not of a new resource.
	believedFor = 20 * time.Second
)

// Removals remembers what a system said to have removed in the last step of each
// tenant and kind. A system that says so and goes on listing, because it deletes
// softly or its index lags behind, would be deleted from for ever, and every time
// counted.
//
// It is safe for concurrent use, and its memory is bounded: ids are kept by a hash.
type Removals struct {
	seed maphash.Seed

	mu   sync.Mutex
	kept map[string]*removals
}

// removals are what one step leaves to the next.
type removals struct {
	ids []uint64 // sorted
	at  time.Time
}

// NewRemovals returns one that remembers nothing.
func NewRemovals() *Removals {
	return &Removals{seed: maphash.MakeSeed(), kept: map[string]*removals{}}
}

// Step is one step of a purge: what the list shows of those that were removed. It
// is safe for concurrent use.
type Step struct {
	of     *Removals
	key    string
	before *removals
	// believed says that the ids of the step before are those of the removed.
	believed bool

	mu      sync.Mutex
	at      time.Time
	settled map[uint64]bool // said to be removed, or gone, in this step
	listed  map[uint64]bool // settled, or removed by the step before, and yet listed
	again   bool
	trusted bool
	wait    time.Duration
}

// Begin begins a step on the resources of a tenant; of says which of them.
func (r *Removals) Begin(tenantID, of string) *Step {
	s := &Step{of: r, key: tenantID + "\x00" + of, settled: map[uint64]bool{}, listed: map[uint64]bool{}, wait: firstWait}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.before = r.kept[s.key]; s.before == nil {
		s.before = &removals{}
	}
	s.at = s.before.at
	s.believed = time.Since(s.at) < believedFor
	return s
}

// known reports whether the step before removed an id.
func (s *Step) known(h uint64) bool {
	_, found := slices.BinarySearch(s.before.ids, h)
	return found
}

// Settled takes note of an id that is listed, and reports whether the system said a
// short while ago that it is not there any more: then it is not to be removed again.
func (s *Step) Settled(id string) bool {
	h := maphash.String(s.of.seed, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled[h] && (!s.believed || !s.known(h)) {
		return false
	}
	s.listed[h] = true
	return true
}

// Removed takes note that the system said so of an id, and reports whether that is
// one more, and not one that it has said before.
func (s *Step) Removed(id string) bool {
	h := maphash.String(s.of.seed, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.known(h)
	s.again = s.again || known
	first := !known && !s.settled[h]
	s.settled[h], s.at = true, time.Now()
	return first
}

// Gone takes note that the system said that an id is not there, and reports whether
// that is news, and not what became of one that it removed.
func (s *Step) Gone(id string) bool {
	h := maphash.String(s.of.seed, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.known(h) && !s.settled[h]
	if len(s.settled) < MaxStep {
		s.settled[h] = true
	}
	return first
}

// Again reports whether something was removed that the step before had removed: it
// may have been made anew meanwhile, and is not counted.
func (s *Step) Again() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.again
}

// Trust says that what was removed is known to be gone, so that it does not matter
// that it is listed.
func (s *Step) Trust() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trusted = true
}

// Listed returns how many are listed that the system said to be removed.
func (s *Step) Listed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trusted {
		return 0
	}
	return len(s.listed)
}

// Full reports whether so many of them are listed that it makes no sense to look
// further.
func (s *Step) Full() bool { return s.Listed() >= mostListed }

// The waits for a list that lags behind: they double, and are some 8 s together.
const (
	firstWait = 250 * time.Millisecond
	lastWait  = 4 * time.Second
)

// Wait waits before the list is read from its beginning again, because it shows
// nothing but what was removed. Its error is [store.Precondition]: that went on for
// too long, or it would for ctx.
func (s *Step) Wait(ctx context.Context) error {
	s.mu.Lock()
	d, n := s.wait, len(s.listed)
	s.wait *= 2
	s.mu.Unlock()
	fail := store.Errorf(store.Precondition, "%d resources are listed that the system said to be removed: it deletes softly, or its list lags behind; "+
		"want a DELETE that removes for good, and a list without what was removed", n)
	deadline, bounded := ctx.Deadline()
	if d > lastWait || bounded && time.Until(deadline) < 2*d {
		return fail
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fail
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.listed)
	return nil
}

// Finished says that the list was gone through to its end. What it still has in the
// next step is then removed once more.
func (s *Step) Finished() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = time.Time{}
}

// End remembers what the next step has to know: nothing when this one found the list,
// of which it removed nothing, to be empty. It is called once, at last.
func (s *Step) End(empty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]uint64, 0, len(s.settled)+len(s.listed))
	for _, set := range []map[uint64]bool{s.settled, s.listed} {
		for h := range set {
			ids = append(ids, h)
		}
	}
	r := s.of
	r.mu.Lock()
	defer r.mu.Unlock()
	before := s.before.ids
	if now := r.kept[s.key]; now != nil && now != s.before { // of a step beside this one
		before, empty = now.ids, false
	}
	if len(ids)+len(before) <= mostIDs {
		ids = append(ids, before...)
	}
	if empty || len(ids) == 0 {
		delete(r.kept, s.key)
		return
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	r.kept[s.key] = &removals{slices.Clone(ids[:min(len(ids), mostIDs)]), s.at}
	if len(r.kept) > mostKept {
		r.forget()
	}
}

// forget drops what was removed first.
func (r *Removals) forget() {
	var oldest string
	for key, k := range r.kept {
		if oldest == "" || cmp.Or(k.at.Compare(r.kept[oldest].at), cmp.Compare(key, oldest)) < 0 {
			oldest = key
		}
	}
	delete(r.kept, oldest)
}
