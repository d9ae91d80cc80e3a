package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
)

// answerLost reports whether a call that returned err may have done more than
// it told. See [Target].
func answerLost(err error) bool {
	return err != nil && !errors.Is(err, errStopped) && (ended(err) || store.CodeOf(err) == store.Internal)
}

// ended reports whether err is that of a context.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// failure is an error of a target in one kind.
type failure struct {
	target string
	kind   store.Kind // "" when it is not about one kind
	err    error
}

func (f *failure) Error() string {
	if f.kind == "" {
		return fmt.Sprintf("target %s: %v", f.target, f.err)
	}
	return fmt.Sprintf("target %s: %s: %v", f.target, f.kind, f.err)
}

func (f *failure) Unwrap() error { return f.err }

// asFailure returns err as a *failure; nil when it is another error.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// failures are what went wrong in one attempt; never empty.
type failures []*failure

func (fs failures) Error() string {
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = f.Error()
	}
	return strings.Join(texts, "; ")
}

func (fs failures) Unwrap() []error {
	errs := make([]error, len(fs))
	for i, f := range fs {
		errs[i] = f
	}
	return errs
}

// permanent reports whether no failure would be cured by another attempt. A
// target that was not called has not failed.
func (fs failures) permanent() bool {
	for _, f := range fs {
		if !IsPermanent(f.err) && !isPostponed(f.err) {
			return false
		}
	}
	return true
}

// postponed returns the names of the targets that were not called, and would be
// later.
func (fs failures) postponed() map[string]bool {
	names := map[string]bool{}
	for _, f := range fs {
		if isPostponed(f.err) {
			names[f.target] = true
		}
	}
	return names
}

// resume returns what a purge waits for, as of now, and until the first target
// that was not called would be: the zero Wait when each was. only says that nothing
// else went wrong.
func (fs failures) resume(now time.Time) (w store.Wait, only bool) {
	only = true
	for _, f := range fs {
		var put *PostponedError
		if !errors.As(f.err, &put) {
			only = false
			continue
		}
		if until := put.renewed(now); w.Until.IsZero() || until.Before(w.Until) {
			w.Until = until
		}
		if a := (store.Awaited{Target: f.target, Reason: string(put.Reason)}); !slices.Contains(w.For, a) {
			w.For = append(w.For, a)
		}
	}
	if len(w.For) > 0 {
		w.At, w.Until = now, kept(w.Until)
	}
	return w, only
}

// kept rounds an instant up to what a store keeps: a moment before it a target
// would put the purge off again.
func kept(t time.Time) time.Time { return store.Trim(t.Add(time.Millisecond - time.Nanosecond)) }

// asked returns the longest wait that a system asked for.
func (fs failures) asked() time.Duration {
	var d time.Duration
	for _, f := range fs {
		d = max(d, retryAfter(f.err))
	}
	return d
}

// storeError is an error of the store in the midst of a cascade.
type storeError struct{ err error }

func (s *storeError) Error() string { return s.err.Error() }
func (s *storeError) Unwrap() error { return s.err }

// errStopped ends a cascade because the context ended.
var errStopped = errors.New("stopped; a later pass goes on")
