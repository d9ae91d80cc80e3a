package commandtarget

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// The exit codes with a meaning of their own, as in sysexits.h.
const (
	exitTempFail = 75
	exitNoPerm   = 77
)

// maxErrorText bounds what of a program's error goes into ours, in bytes.
const maxErrorText = 512

// Target runs a program for each call. It is safe for concurrent use: as many
// programs run as calls are under way.
type Target struct {
	cfg   Config
	kinds []store.Kind
	log   *zap.Logger
	runs  underWay
	process
}

var (
	_ purge.Target  = (*Target)(nil)
	_ purge.Checker = (*Target)(nil)
	_ purge.Doctor  = (*Target)(nil)
	_ purge.Closer  = (*Target)(nil)
)

// New returns a target. Errors: Invalid, all that there are, joined, with their keys.
func New(cfg Config, opt Options) (*Target, error) {
	cfg.Args = slices.Clone(cfg.Args)
	cfg, kinds, invalid := cfg.withDefaults()
	t := &Target{cfg: cfg, kinds: kinds, log: opt.Logger}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	var err error
	t.process, err = cfg.process()
	if err = errors.Join(invalid, err); err != nil {
		return nil, err
	}
	return t, nil
}

// Close implements [purge.Closer]. It ends the programs that run, as at the end of
// their time, and waits for that, less than 10 s: who ends the process earlier leaves
// behind what they have started. No program is run afterwards. Errors: Unavailable, if
// some could not be ended.
func (t *Target) Close() error {
	// Its time to take its leave, and as long for output that somebody keeps open.
	if left := t.runs.close(2*t.cfg.KillAfter + time.Second); left > 0 {
		return store.Errorf(store.Unavailable, "%d runs of %s did not end", left, t.cfg.Command)
	}
	return nil
}

// Name implements [purge.Target].
func (t *Target) Name() string { return t.cfg.Name }

// Kinds implements [purge.Target].
func (t *Target) Kinds() []store.Kind { return slices.Clone(t.kinds) }

// Count implements [purge.Target].
func (t *Target) Count(ctx context.Context, tenantID string, kind store.Kind) (int64, error) {
	a, err := t.ask(ctx, request{Operation: opCount, TenantID: tenantID, Kind: kind})
	if err != nil {
		return 0, err
	}
	return *a.count, nil
}

// Purge implements [purge.Target].
func (t *Target) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	a, err := t.ask(ctx, request{Operation: opPurge, TenantID: r.TenantID, Kind: r.Kind, Limit: r.Limit, Resumed: &r.Resumed})
	var did purge.Removed
	if a.deleted != nil {
		did.Deleted = *a.deleted
	}
	did.More = a.more != nil && *a.more
	did.Inexact = a.inexact != nil && *a.inexact
	return did, err
}

// Check implements [purge.Checker].
func (t *Target) Check(ctx context.Context) error {
	_, err := t.ask(ctx, request{Operation: opCheck})
	return err
}

// ask runs the program. Without an error the answer is complete; with one it may
// still say what was deleted.
func (t *Target) ask(ctx context.Context, r request) (answer, error) {
	if !utf8.ValidString(r.TenantID) { // JSON would make another id of it
		return answer{}, store.Errorf(store.Invalid, "tenant %q: the id is no text", r.TenantID)
	}
	r.Version, r.Target = protocolVersion, t.cfg.Name
	in, err := json.Marshal(r)
	if err != nil {
		return answer{}, store.Errorf(store.Internal, "encode the request: %w", err)
	}
	log := t.log.With(zap.String("target", t.cfg.Name), zap.String("operation", r.Operation),
		zap.String("tenant", r.TenantID), zap.String("kind", string(r.Kind)))
	run := t.run(ctx, append(in, '\n'), log)
	if run.err != nil {
		return answer{}, run.err
	}
	if run.code == 0 {
		a, err := decode(run.out)
		if err == nil {
			err = a.complete(r.Operation)
		}
		if err != nil {
			return answer{}, store.Errorf(store.Internal, "%s: %w", t.cfg.Command, err)
		}
		return a, nil
	}
	return t.failed(run)
}

// failed returns what a program that failed says for itself.
func (t *Target) failed(run result) (answer, error) {
	code, what := store.Internal, "failed"
	switch run.code {
	case exitTempFail:
		code, what = store.Unavailable, "asks to try again later"
	case exitNoPerm:
		code, what = store.Forbidden, "was forbidden"
	}
	if len(run.out) == 0 {
		return answer{}, store.Errorf(code, "%s %s (%s)", t.cfg.Command, what, run.ending())
	}
	a, err := decode(run.out)
	if err != nil {
		// What it did is not known, whatever its code.
		return answer{}, store.Errorf(store.Internal, "%s %s (%s): %w", t.cfg.Command, what, run.ending(), err)
	}
	text := ""
	if a.err != nil {
		text = ": " + escape((*a.err)[:min(len(*a.err), maxErrorText)])
	}
	failure := store.Errorf(code, "%s %s (%s)%s", t.cfg.Command, what, run.ending(), text)
	if a.retryAfter != nil && code == store.Unavailable {
		after := time.Duration(min(*a.retryAfter, int64(maxRetryAfter/time.Second))) * time.Second
		return a, throttled{failure, after}
	}
	return a, failure
}

// maxRetryAfter bounds the wait that a program may ask for.
const maxRetryAfter = 7 * 24 * time.Hour
