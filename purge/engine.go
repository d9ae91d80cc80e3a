package purge

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// Options is what an engine is made of.
type Options struct {
	// Store is required.
	Store store.Store
	// Targets are the systems that hold resources besides the store; may be nil.
	Targets []Target
	// Source, unless nil, is asked once more about each tenant that is due, and
	// those below it, right before a pass claims it. What it does not confirm is
	// not purged; see the blocks of package store that it is the reason for.
	Source Source
	// Metrics and Logger may be nil.
	Metrics *metrics.Metrics
	Logger  *zap.Logger
	// Owner names this process in claims; "" is a random name.
	Owner string
	// Settings must be valid; begin with [DefaultSettings].
	Settings Settings
}

// Engine purges tenants. It is safe for concurrent use.
type Engine struct {
	store    store.Store
	targets  []*target
	holds    map[string][]store.Kind // by the name of the target
	counters []subscriptionCounter   // those of the targets that are, and others
	source   Source                  // may be nil
	keeper   store.SourceKeeper      // with a source
	metrics  *metrics.Metrics
	log      *zap.Logger
	owner    string
	settings atomic.Pointer[settings]
	running  atomic.Bool
	// synced is when the last good sync with the source ended that is known of; nil
	// for none. A later one may be on record.
	synced atomic.Pointer[time.Time]
	// reconsidered says that a pass did so since the process began; only a pass uses
	// it.
	reconsidered bool
	// policyMu orders what puts a claim off by the policies in force, which holds it
	// to read, and Reconsider, so that none is put off by a policy of before.
	policyMu sync.RWMutex
	// waiting is what the pass before saw waiting, silent about whom the source, or a
	// target that was asked for subscriptions, had no answer in it, and recorded when
	// a pass that was no retry was last kept in the store. Only a pass uses them.
	waiting  map[string]store.Block
	silent   map[string]bool
	recorded time.Time
}

// New returns an engine. Errors: Invalid.
func New(o Options) (*Engine, error) {
	if o.Store == nil {
		return nil, store.Errorf(store.Invalid, "purge.Options.Store: want a store")
	}
	e := &Engine{store: o.Store, source: o.Source, metrics: o.Metrics, log: o.Logger, owner: o.Owner, holds: map[string][]store.Kind{}}
	if e.log == nil {
		e.log = zap.NewNop()
	}
	if e.owner == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, store.Errorf(store.Internal, "name the owner: %w", err)
		}
		e.owner = id.String()
	}
	if e.source != nil {
		if err := checkSource(e.source); err != nil {
			return nil, err
		}
		var ok bool
		if e.keeper, ok = o.Store.(store.SourceKeeper); !ok {
			return nil, store.Errorf(store.Invalid, "purge.Options.Source: this store keeps nothing of a source")
		}
	}
	seen := map[string]bool{metrics.StoreTarget: true}
	for _, t := range o.Targets {
		v, err := newTarget(t)
		if err != nil {
			return nil, err
		}
		if seen[v.name] {
			return nil, store.Errorf(store.Invalid, "target %q: the name is taken", v.name)
		}
		seen[v.name] = true
		if len(v.kinds) > 0 {
			e.targets = append(e.targets, v)
			e.holds[v.name] = slices.DeleteFunc(store.Kinds(), func(k store.Kind) bool { return !v.kinds[k] })
		}
		if c := subscriptionsOf(t); c != nil {
			e.counters = append(e.counters, subscriptionCounter{v, c})
		}
		e.metrics.TargetUp(v.name, true) // nothing is known against it
	}
	if err := e.Configure(o.Settings); err != nil {
		return nil, err
	}
	return e, nil
}

// Configure replaces the settings; each tenant is purged by those in force when
// it was claimed. Invalid settings change nothing.
func (e *Engine) Configure(s Settings) error {
	if err := s.Validate(); err != nil {
		return err
	}
	v := &settings{Settings: s, protected: make(map[string]struct{}, len(s.Protected))}
	v.Protected = slices.Clone(s.Protected)
	for _, id := range v.Protected {
		v.protected[id] = struct{}{}
	}
	e.settings.Store(v)
	return nil
}

// Settings returns the settings in force.
func (e *Engine) Settings() Settings {
	s := e.settings.Load().Settings
	s.Protected = slices.Clone(s.Protected)
	return s
}

// settings is Settings in the form in which decisions use it. It is not changed
// once made.
type settings struct {
	Settings
	protected map[string]struct{}
}

func (s *settings) isProtected(id string) bool {
	_, ok := s.protected[id]
	return ok
}

// request returns what every claim has in common.
func (e *Engine) request(s *settings, trigger Trigger, o store.Origin) store.ClaimRequest {
	return store.ClaimRequest{
		Origin: o, Owner: e.owner, Lease: s.Lease, Trigger: string(trigger),
		Protected: s.isProtected, Limits: s.Limits, Holds: e.holds, Inline: len(e.targets) == 0,
	}
}

// self is who acts in a pass.
func self(at time.Time) store.Origin {
	return store.Origin{Actor: store.Actor{ID: "purger"}, At: at}
}

// target is a Target with what is constant about it.
type target struct {
	Target
	name  string
	kinds map[store.Kind]bool
	guard *GuardedTarget // nil: it is called without a policy
	group GroupTarget    // nil: it is called for each tenant
	books Accountant     // nil: it keeps no account
	// seesAll says that what it counts is believed at once.
	seesAll bool
	track   *tracker
}

func newTarget(t Target) (*target, error) {
	if t == nil {
		return nil, store.Errorf(store.Invalid, "purge.Options.Targets: want no nil")
	}
	v := &target{Target: t, name: t.Name(), kinds: map[store.Kind]bool{}, track: &tracker{}, group: groupOf(t)}
	if g, ok := t.(*GuardedTarget); ok {
		v.guard, v.track = g, &g.track
	}
	v.books, _ = As[Accountant](t)
	if w, ok := As[Witness](t); ok {
		v.seesAll = w.SeesAll()
	}
	if err := store.CheckID("target", v.name); err != nil {
		return nil, err
	}
	for _, k := range t.Kinds() {
		if _, err := store.ParseKind(string(k)); err != nil {
			return nil, fmt.Errorf("target %q: %w", v.name, err)
		}
		v.kinds[k] = true
	}
	if len(v.kinds) == 0 && subscriptionsOf(t) == nil {
		return nil, store.Errorf(store.Invalid, "target %q: want at least one kind, or the number of subscriptions", v.name)
	}
	return v, nil
}
