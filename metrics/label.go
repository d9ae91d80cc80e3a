package metrics

import (
	"slices"
	"strings"
	"sync"

	"github.com/tenantpurge/purger/store"
)

// other stands for a value that is not in a closed set.
const other = "other"

// noKind stands for a failure that is not about one kind of resource.
const noKind = "none"

// The bounds of the label values that callers name. Both are far above what a
// configuration or a router has; they keep a defect from filling the memory.
const (
	maxTargets = 64
	maxRoutes  = 128
)

// triggers returns what sets off a pass. A plan changes nothing and is no pass.
func triggers() []string {
	return []string{"schedule", "startup", "signal", "api", "run", "catchup", retry}
}

// retry is the trigger of a pass that takes nothing but what was claimed before.
const retry = "retry"

// success is the result of a pass that did all that was due.
const success = "ok"

// results returns how a pass ends.
func results() []string {
	return []string{success, "partial", "halted", "paused", "import", "space", "interrupted", "error"}
}

// limits returns the configuration keys of the limits that halt purging.
func limits() []string {
	return []string{"limits.perPass", "limits.perDay", "limits.perDayShare"}
}

// operations returns what is asked of a target.
func operations() []string { return []string{"count", "purge", "check", "subscriptions"} }

// postponements returns why a target is not called for now.
func postponements() []string { return []string{"window", "breaker", "retry_after"} }

// kinds returns every kind of resource as a label value.
func kinds() []string {
	var s []string
	for _, k := range store.Kinds() {
		s = append(s, string(k))
	}
	return s
}

// reasons returns the code of every error.
func reasons() []string {
	var s []string
	for _, c := range []store.Code{
		store.Invalid, store.NotFound, store.Gone, store.Conflict, store.Precondition,
		store.Unauthenticated, store.Forbidden, store.Exhausted, store.Unavailable, store.Internal,
	} {
		s = append(s, string(c))
	}
	return s
}

// oneOf returns v when it is in the set, else [other].
func oneOf(set []string, v string) string {
	if slices.Contains(set, v) {
		return v
	}
	return other
}

// bounded admits label values that callers name, up to max of them.
type bounded struct {
	max  int
	mu   sync.RWMutex
	seen map[string]struct{}
}

// value returns v as a label value, and [other] once max values are known. The
// result is valid UTF-8, without which client_golang panics. first says that
// the result was never returned before.
func (b *bounded) value(v string) (label string, first bool) {
	v = strings.ToValidUTF8(v, "\uFFFD")
	b.mu.RLock()
	_, known := b.seen[v]
	b.mu.RUnlock()
	if known {
		return v, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) >= b.max {
		v = other
	}
	if _, known := b.seen[v]; known {
		return v, false
	}
	if b.seen == nil {
		b.seen = map[string]struct{}{}
	}
	b.seen[v] = struct{}{}
	return v, true
}
