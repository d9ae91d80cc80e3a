package api

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenantpurge/purger/store"
)

// Limits protect the API from its callers. The zero value has none.
type Limits struct {
	// Concurrency is how many requests are carried out at a time. One caller has at
	// most half of these places, rounded up, so that no one locks out all others.
	Concurrency int
	PerSubject  int // requests a second of one caller
	Burst       int // what one caller may ask for at once; at least 1 with PerSubject
}

// busyRetry is what a caller is told to wait who came when all places were taken.
const busyRetry = time.Second

// maxSubjects is how many callers are remembered before those are forgotten that
// have not called for long enough to start anew anyway.
const maxSubjects = 4096

// turnstile lets requests in as far as the limits allow, of callers that are known:
// a stranger is refused without a place. It is safe for concurrent use.
type turnstile struct {
	limits func() Limits // those in force; nil: none

	mu       sync.Mutex
	subjects map[string]*rate.Limiter
	inside   int            // places taken
	open     map[string]int // by caller: requests of which the answer is not read to its end
}

// visit is a request that was let in. Its place is given back when its answer
// begins, since a slow reader keeps nothing busy; until the answer has ended, it
// counts against its caller alone.
type visit struct {
	t       *turnstile
	subject string
	left    bool // guarded by t.mu
}

// enter takes a place for a caller, or refuses. The visit has to be ended.
func (t *turnstile) enter(w http.ResponseWriter, subject string) (*visit, error) {
	places := t.now().Concurrency
	own := (places + 1) / 2
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case places > 0 && t.open[subject] >= own:
		retryAfter(w, busyRetry)
		return nil, store.Errorf(store.Exhausted, "%d requests of %s are being answered; try again in a moment", own, store.Quote(subject))
	case places > 0 && t.inside >= places:
		retryAfter(w, busyRetry)
		return nil, store.Errorf(store.Unavailable, "%d requests are being answered; try again in a moment", places)
	}
	if t.open == nil {
		t.open = map[string]int{}
	}
	t.inside++
	t.open[subject]++
	return &visit{t: t, subject: subject}, nil
}

// leave gives the place back. Further calls do nothing.
func (v *visit) leave() {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	v.leaveLocked()
}

// leaveLocked is leave for a caller that holds t.mu.
func (v *visit) leaveLocked() {
	if !v.left {
		v.left = true
		v.t.inside--
	}
}

// end gives everything back. It is called once.
func (v *visit) end() {
	v.t.mu.Lock()
	defer v.t.mu.Unlock()
	v.leaveLocked()
	if v.t.open[v.subject]--; v.t.open[v.subject] == 0 {
		delete(v.t.open, v.subject)
	}
}

// admit counts a request of a caller, or refuses it.
func (t *turnstile) admit(w http.ResponseWriter, subject string, now time.Time) error {
	l := t.now()
	if l.PerSubject <= 0 {
		return nil
	}
	reservation := t.of(subject, l, now).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reservation.CancelAt(now)
	retryAfter(w, wait)
	return store.Errorf(store.Exhausted, "more than %d requests a second of %s; try again later", l.PerSubject, store.Quote(subject))
}

// now returns the limits in force.
func (t *turnstile) now() Limits {
	if t.limits == nil {
		return Limits{}
	}
	return t.limits()
}

// of returns the limiter of a caller, with the limits in force.
func (t *turnstile) of(subject string, l Limits, now time.Time) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	limiter := t.subjects[subject]
	if limiter == nil {
		if len(t.subjects) >= maxSubjects {
			for name, other := range t.subjects {
				if other.TokensAt(now) >= float64(other.Burst()) {
					delete(t.subjects, name)
				}
			}
		}
		limiter = rate.NewLimiter(rate.Limit(l.PerSubject), max(l.Burst, 1))
		if t.subjects == nil {
			t.subjects = map[string]*rate.Limiter{}
		}
		t.subjects[subject] = limiter
	}
	if limiter.Limit() != rate.Limit(l.PerSubject) || limiter.Burst() != max(l.Burst, 1) {
		limiter.SetLimitAt(now, rate.Limit(l.PerSubject))
		limiter.SetBurstAt(now, max(l.Burst, 1))
	}
	return limiter
}

// retryAfter tells a caller when to come back (RFC 9110, section 10.2.3), in whole
// seconds, at least one.
func retryAfter(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
}
