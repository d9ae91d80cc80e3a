package targettest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// counter is a system that takes a request, and some time, to remove one of what it
// holds, and the target that is connected to it. defect makes it a careless one.
type counter struct {
	defect   string
	each     time.Duration
	holds    int64
	requests int
}

func (c *counter) system() targettest.System {
	return targettest.System{
		Target: c,
		Add:    func(_ string, _ store.Kind, n int) error { c.holds += int64(n); return nil },
		Left:   func(string, store.Kind) (int64, error) { return c.holds, nil },
	}
}

func (*counter) Name() string        { return "counter" }
func (*counter) Kinds() []store.Kind { return []store.Kind{store.KindUser} }

func (c *counter) Count(context.Context, string, store.Kind) (int64, error) { return c.holds, nil }

func (c *counter) Purge(ctx context.Context, r purge.Request) (did purge.Removed, err error) {
	enough := purge.Enough(ctx, time.Now())
	deadline, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if c.defect == "asks once for all" {
		c.requests++
		did.Deleted, c.holds = c.holds, 0
	}
	for c.holds > 0 && did.Deleted < int64(r.Limit) {
		if did.Deleted > 0 && enough(did.Deleted) && c.defect != "never has enough" {
			did.More = c.defect != "has done with enough"
			break
		}
		if c.defect != "asks at its own pace" || c.requests == 0 {
			if err := purge.Pace(ctx); err != nil {
				return did, err
			}
		}
		if c.defect == "asks twice" {
			c.requests++
		}
		c.requests++
		if c.defect == "has its own time-out" && deadline.Err() != nil {
			return did, store.Errorf(store.Unavailable, "no answer in time")
		}
		select {
		case <-ctx.Done():
			return did, ctx.Err()
		case <-time.After(c.each):
			did.Deleted++
		}
		if c.defect == "keeps one" && c.holds == 1 {
			break
		}
		c.holds--
	}
	switch c.defect {
	case "is not sure":
		did.Inexact = true
	case "goes on about nothing":
		did.More = true
	}
	return did, nil
}

// verdict is a test that notes why it failed.
type verdict struct {
	testing.TB
	why strings.Builder
}

func (v *verdict) Errorf(format string, args ...any) { fmt.Fprintf(&v.why, format+"\n", args...) }

func (v *verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	runtime.Goexit()
}

// verdictOn returns why run fails on a counter with a defect, "" if it does not.
func verdictOn(t *testing.T, c *counter, run func(testing.TB, *counter)) string {
	var v verdict
	synctest.Test(t, func(t *testing.T) {
		v.TB = t
		done := make(chan struct{})
		go func() {
			defer close(done)
			run(&v, c)
		}()
		<-done
	})
	return v.why.String()
}

// paced has 60 requests that take no time.
func paced(t testing.TB, c *counter) {
	if n := targettest.Pace(t, c.system(), store.KindUser, 60, func() int { return c.requests }); n < 60 {
		t.Errorf("%d requests", n)
	}
}

// slowed has 40 requests that take 2 seconds together.
func slowed(t testing.TB, c *counter) {
	c.each = 50 * time.Millisecond
	targettest.Slow(t, c.system(), store.KindUser, 40)
}

// wantVerdicts wants run to find something of a text wrong with each counter that has
// a defect, and nothing with a sound one.
func wantVerdicts(t *testing.T, run func(testing.TB, *counter), byDefect map[string]string) {
	t.Helper()
	byDefect[""] = ""
	for defect, want := range byDefect {
		if got := verdictOn(t, &counter{defect: defect}, run); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("the verdict on a target that %q is %q, want %q", defect, got, want)
		}
	}
}

func TestPace_FindsDefects(t *testing.T) {
	wantVerdicts(t, paced, map[string]string{
		"asks at its own pace":  "want 1.18s at 50 a second",
		"asks twice":            "120 requests took",
		"asks once for all":     "too few",
		"has its own time-out":  "no answer in time",
		"is not sure":           "counted exactly",
		"goes on about nothing": "want progress",
		"keeps one":             "1 are left",
	})
}

func TestSlow_FindsDefects(t *testing.T) {
	wantVerdicts(t, slowed, map[string]string{
		"never has enough":      "after 0 of 40",
		"has done with enough":  "are left",
		"is not sure":           "counted exactly",
		"goes on about nothing": "want progress",
	})
	quick := func(t testing.TB, c *counter) { targettest.Slow(t, c.system(), store.KindUser, 40) }
	if got := verdictOn(t, &counter{}, quick); !strings.Contains(got, "it is not slow") {
		t.Errorf("the verdict on a system that takes no time is %q", got)
	}
}
