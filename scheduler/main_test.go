package scheduler

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the tests need every zone, whatever the machine has

	"go.uber.org/goleak"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runnerFunc is a Runner.
type runnerFunc func(context.Context, purge.Trigger) (purge.Report, error)

func (f runnerFunc) Run(ctx context.Context, t purge.Trigger) (purge.Report, error) { return f(ctx, t) }

// statsFunc is a Store.
type statsFunc func(context.Context, time.Time) (store.Stats, error)

func (f statsFunc) Stats(ctx context.Context, now time.Time) (store.Stats, error) { return f(ctx, now) }

// NextAttempt knows of none.
func (statsFunc) NextAttempt(context.Context, time.Time) (time.Time, error) { return time.Time{}, nil }

// Gates are open.
func (statsFunc) Gates(context.Context) (store.Gates, error) { return store.Gates{}, nil }

// nothingDue is a Store in which nothing is due.
func nothingDue() Store {
	return statsFunc(func(context.Context, time.Time) (store.Stats, error) { return store.Stats{}, nil })
}

// run is one pass that a recorder made.
type run struct {
	Trigger purge.Trigger
	At      time.Time
}

// recorder is a Runner that notes its passes.
type recorder struct {
	// during, if set, is called within each pass; what it returns is the error.
	during func(ctx context.Context, n int) error

	mu   sync.Mutex
	runs []run
}

func (r *recorder) Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
	n := r.note(trigger)
	report := purge.Report{ID: strconv.Itoa(n), Trigger: trigger, Result: purge.ResultOK}
	if r.during == nil {
		return report, nil
	}
	err := r.during(ctx, n)
	return report, err
}

// note returns the number of the pass that begins.
func (r *recorder) note(trigger purge.Trigger) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = append(r.runs, run{trigger, time.Now().UTC()})
	return len(r.runs)
}

// seen returns the passes that began.
func (r *recorder) seen() []run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.runs)
}

// mustParse parses a schedule that is right.
func mustParse(t testing.TB, spec string) Schedule {
	t.Helper()
	s, err := ParseSchedule(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start returns a scheduler whose Run has been called, and a function that
// ends it and returns what Run returned. Options that are missing are filled
// in. The test is in a bubble.
func start(t *testing.T, o Options) (s *Scheduler, stop func() error) {
	t.Helper()
	s = newScheduler(t, o)
	return s, launch(t, s)
}

// newScheduler returns a scheduler with the options that are missing filled in.
func newScheduler(t testing.TB, o Options) *Scheduler {
	t.Helper()
	if o.Runner == nil {
		o.Runner = &recorder{}
	}
	if o.Store == nil {
		o.Store = nothingDue()
	}
	if o.Schedule == nil {
		o.Schedule = mustParse(t, "*/5 * * * *")
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// launch calls Run and waits until everything is blocked.
func launch(t *testing.T, s *Scheduler) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Run(ctx) }()
	synctest.Wait()
	return func() error {
		cancel()
		return <-result
	}
}

// advance lets time pass and waits until everything is blocked again.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubbleStart is the time at which every bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
