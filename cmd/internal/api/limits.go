package api

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tenantpurge/purger/store"
)

// Limits protect the API from its callers. The zero value has none.
type Limits struct {
	Concurrency int // requests at a time
	PerSubject  int // requests a second of one caller
	Burst       int // what one caller may ask for at once; at least 1 with PerSubject
}

// busyRetry is what a caller is told to wait who came when all places were taken.
const busyRetry = time.Second

// maxSubjects is how many callers are remembered before those are forgotten that
// have not called for long enough to start anew anyway.
const maxSubjects = 4096

// turnstile lets requests in as far as the limits allow. It is safe for concurrent
// use.
type turnstile struct {
	limits func() Limits // those in force; nil: none
	inside atomic.Int64

	mu       sync.Mutex
	subjects map[string]*rate.Limiter
}

// enter takes a place, to be given back with leave, or refuses with a status of its
// own.
func (t *turnstile) enter(w http.ResponseWriter) error {
	most := t.now().Concurrency
	if n := t.inside.Add(1); most > 0 && n > int64(most) {
		t.inside.Add(-1)
		retryAfter(w, busyRetry)
		return store.Errorf(store.Unavailable, "%d requests are being answered; try again in a moment", most)
	}
	return nil
}

// leave gives a place back.
func (t *turnstile) leave() { t.inside.Add(-1) }

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
	return store.Errorf(store.Exhausted, "more than %d requests a second of %s; try again later", l.PerSubject, quote(subject))
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
