package purge_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

func TestSettings_DefaultsAreValid(t *testing.T) {
	if err := purge.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
}

func TestSettings_EachBadValueNamesItsKey(t *testing.T) {
	for key, change := range map[string]func(*purge.Settings){
		"purge.concurrency":           func(s *purge.Settings) { s.Concurrency = 0 },
		"limits.batch":                func(s *purge.Settings) { s.Batch = 0 },
		"purge.attempts":              func(s *purge.Settings) { s.Attempts = 0 },
		"purge.backoff.initial":       func(s *purge.Settings) { s.BackoffInitial = time.Millisecond },
		"purge.backoff.max":           func(s *purge.Settings) { s.BackoffMax = s.BackoffInitial - 1 },
		"purge.callTimeout":           func(s *purge.Settings) { s.CallTimeout = 0 },
		"purge.lease":                 func(s *purge.Settings) { s.Lease = time.Second },
		"limits.perPass":              func(s *purge.Settings) { s.PerPass = -1 },
		"limits.perDay":               func(s *purge.Settings) { s.Limits.PerDay = -1 },
		"limits.perDayShare":          func(s *purge.Settings) { s.Limits.PerDayShare = math.NaN() },
		"limits.perDayShareFloor":     func(s *purge.Settings) { s.Limits.ShareFloor = -1 },
		"tenants.gracePeriod.default": func(s *purge.Settings) { s.Grace.Default = 91 },
		"tenants.gracePeriod.min":     func(s *purge.Settings) { s.Grace.Min = -3 },
		"tenants.gracePeriod.max":     func(s *purge.Settings) { s.Grace.Max = 4000 },
		"tenants.protected":           func(s *purge.Settings) { s.Protected = []string{"ok", "not ok"} },
		"api.immediateDelete":         func(s *purge.Settings) { s.ImmediateDelete = "sometimes" },
	} {
		s := purge.DefaultSettings()
		change(&s)
		err := s.Validate()
		var e *store.Error
		if !errors.As(err, &e) || e.Code != store.Invalid || e.Field != key || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
	s := purge.Settings{ImmediateDelete: purge.DeleteNever}
	if err := s.Validate(); strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("not all problems at once: %v", err)
	}
}

func TestConfigure_BadSettingsChangeNothing(t *testing.T) {
	e := newEngine(t, newStore(t))
	bad := e.Settings()
	bad.Attempts, bad.Batch = -1, 17
	if err := e.Configure(bad); store.CodeOf(err) != store.Invalid {
		t.Errorf("error %v", err)
	}
	if got := e.Settings(); got.Batch != unlimited().Batch {
		t.Errorf("settings %+v", got)
	}
}

func TestConfigure_CallersSliceIsNotKept(t *testing.T) {
	s := newStore(t)
	fill(t, s, []store.Tenant{due("acme", "")}, nil)
	protected := []string{"acme"}
	e := newEngine(t, s, setting(func(s *purge.Settings) { s.Protected = protected }))
	protected[0] = "globex"
	e.Settings().Protected[0] = "globex"
	wantOutcomes(t, mustRun(t, e), map[string]string{"acme": "blocked: protected by acme"})
}

func TestConfigure_TakesEffectWithTheNextTenant(t *testing.T) {
	s := newStore(t)
	fill(t, s, forest(3, 1), nil)
	f := newFake("crm", nil)
	var e *purge.Engine
	f.before = func(_ context.Context, c call) error {
		if c.Tenant == "t000" {
			v := e.Settings()
			v.Protected = []string{"t001"}
			return e.Configure(v)
		}
		return nil
	}
	e = newEngine(t, s, targets(f), setting(func(s *purge.Settings) { s.Concurrency = 1 }))
	wantOutcomes(t, mustRun(t, e), map[string]string{"t000": "deleted", "t001": "blocked: protected by t001", "t002": "deleted"})
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	s := newStore(t)
	ok := purge.DefaultSettings()
	for name, o := range map[string]purge.Options{
		"no store":     {Settings: ok},
		"no settings":  {Store: s},
		"nil target":   {Store: s, Settings: ok, Targets: []purge.Target{nil}},
		"no name":      {Store: s, Settings: ok, Targets: []purge.Target{newFake("", nil)}},
		"bad name":     {Store: s, Settings: ok, Targets: []purge.Target{newFake("a b", nil)}},
		"taken name":   {Store: s, Settings: ok, Targets: []purge.Target{newFake("a", nil), newFake("a", nil)}},
		"the store's":  {Store: s, Settings: ok, Targets: []purge.Target{newFake("store", nil)}},
		"no kinds":     {Store: s, Settings: ok, Targets: []purge.Target{&fake{name: "a", kinds: []store.Kind{}}}},
		"unknown kind": {Store: s, Settings: ok, Targets: []purge.Target{&fake{name: "a", kinds: []store.Kind{"lamp"}}}},
	} {
		if e, err := purge.New(o); e != nil || store.CodeOf(err) != store.Invalid {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
}

func TestPermanent_IsFoundThroughWrapping(t *testing.T) {
	cause := store.Errorf(store.Forbidden, "no")
	err := purge.Permanent(cause)
	if !purge.IsPermanent(errors.Join(errors.New("x"), err)) || store.CodeOf(err) != store.Forbidden || err.Error() != "no" {
		t.Errorf("%v", err)
	}
	if purge.IsPermanent(cause) || purge.IsPermanent(nil) || purge.Permanent(nil) != nil {
		t.Error("an error is permanent that nobody marked")
	}
}
