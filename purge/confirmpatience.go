package purge

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// sourceTries is how many questions in a row may fail before a pass asks fewer.
	sourceTries = 3
	// mostLeftOut is how many tenants are left out between two questions that fail,
	// unless they take longer than longQuestion.
	mostLeftOut  = 8
	longQuestion = time.Second
)

// patience is that of a pass with a source that does not answer. What it cannot
// answer about may be some tenants alone, which must not hold up the others (G11); it
// may be everything, and then each question may cost a time-out. So after a few
// failures in a row it is asked about one tenant at a time, and some are left out
// between them, more and more where a failure takes long, until it answers. It is safe
// for concurrent use; the zero value is that of a source that answers.
type patience struct {
	mu      sync.Mutex
	failed  int  // questions in a row
	gap     int  // how many tenants are left out after the next failure
	left    int  // of those that are to be left out now
	probing bool // one is asked about
}

// ask reports whether to ask about one more tenant; then [patience.asked] follows.
func (p *patience) ask() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.failed < sourceTries:
		return true
	case p.left > 0:
		p.left--
		return false
	case p.probing:
		return false
	}
	p.probing = true
	return true
}

// asked takes what came of a question, and how long it took.
func (p *patience) asked(answered bool, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answered {
		p.failed, p.gap, p.left, p.probing = 0, 0, 0, false
		return
	}
	if p.failed++; p.probing {
		// By chance, so that nobody is left out in pass after pass.
		p.probing, p.left, p.gap = false, rand.IntN(p.gap+1), max(2*p.gap, 1) //nolint:gosec // it need not be unpredictable
		if took < longQuestion {
			p.gap = min(p.gap, mostLeftOut)
		}
	}
}
