package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/store"
)

func replayCases() []testCase {
	return []testCase{
		{"IsTheSameAnswer_G7", replayKept},
		{"AnotherRequestIsAConflict", replayOther},
		{"WhileUnderwayIsAConflictToTryAgain", replayUnderway},
		{"OfACallThatTheStoreDidNotSeeEndIsNotKnown_G5", replayInterrupted},
		{"ADroppedKeyIsFree", replayDropped},
		{"IsForgottenExactlyADayLater_G13", replayForgotten},
		{"AnAnswerThatIsTooLargeIsRefused", replayTooLarge},
		{"NoMoreAreKeptThanMayBe", replayBound},
		{"OfOneCallerTakeUpATenth", replayShare},
		{"OfATenantIsForgottenWithIt_G13", replayOfTenant},
		{"OfManyCallsAtATimeOneBegins", replayRace},
		{"ACallKeepsOnlyItsOwnAnswer", replayFenced},
		{"OutlivesBackupAndCompaction_G7", replayCopied},
	}
}

// attempt makes an attempt of a key and what was sent.
func attempt(key, sent string, at time.Time) store.Attempt {
	return store.Attempt{Owner: sha256.Sum256([]byte("owner of " + key)), Key: sha256.Sum256([]byte(key)), Digest: sha256.Sum256([]byte(sent)), At: at}
}

// made is an answer with bytes of every kind.
func made() store.Answer {
	return store.Answer{Status: 201, Header: map[string]string{"Content-Type": "text/plain", "Location": "/x"}, Body: []byte("secretanswer \x00\xff")}
}

func replayKept(e *env) {
	head := e.head()
	for _, answer := range []store.Answer{made(), {Status: 204, Header: map[string]string{}, Body: []byte{}}} {
		a := attempt(fmt.Sprint(answer.Status), "sent", t0)
		e.begin(a)
		e.must(e.replayer().KeepReplay(e.ctx(), a, answer, t0.Add(time.Minute)), "KeepReplay")
		for range 2 {
			a.At = a.At.Add(time.Hour)
			got, err := e.replayer().BeginReplay(e.ctx(), a)
			e.must(err, "BeginReplay")
			e.equal(&answer, got, "the answer")
			e.reopen()
		}
	}
	if entries := e.entries(head); len(entries) != 0 { // what the call does writes its own
		e.t.Errorf("answers that are kept wrote %+v", entries)
	}
}

func replayOther(e *env) {
	a := attempt("k", "sent", t0)
	e.begin(a)
	for _, during := range []bool{true, false} {
		if !during {
			e.keep(a)
		}
		got, err := e.replayer().BeginReplay(e.ctx(), attempt("k", "another", t0))
		e.wantCode(err, store.Conflict, fmt.Sprintf("another request: %+v", got))
		if errors.Is(err, store.ErrUnderway) {
			e.t.Error("another request is told to try again, which never works")
		}
	}
	e.begin(attempt("k2", "another", t0)) // under a key of its own
}

func replayUnderway(e *env) {
	a := attempt("k", "sent", t0)
	e.begin(a)
	_, err := e.replayer().BeginReplay(e.ctx(), attempt("k", "sent", t0.Add(time.Hour)))
	e.wantCode(err, store.Conflict, "BeginReplay")
	if !errors.Is(err, store.ErrUnderway) {
		e.t.Errorf("%v; want it to wrap ErrUnderway", err)
	}
}

func replayInterrupted(e *env) {
	a := attempt("k", "sent", t0)
	e.begin(a)
	e.reopen()
	_, err := e.replayer().BeginReplay(e.ctx(), attempt("k", "sent", t0.Add(time.Hour)))
	e.wantCode(err, store.Conflict, "BeginReplay after a restart")
	if errors.Is(err, store.ErrUnderway) {
		e.t.Error("nobody makes the call any more, and the error says to wait for it")
	}
	// Whoever comes from before the restart has nothing to say.
	e.wantCode(e.replayer().KeepReplay(e.ctx(), a, made(), t0), store.NotFound, "KeepReplay of an earlier session")
	e.begin(attempt("k", "sent", t0.Add(store.ReplayLife)))
}

func replayDropped(e *env) {
	a := attempt("k", "sent", t0)
	e.begin(a)
	for range 2 {
		e.must(e.replayer().DropReplay(e.ctx(), a, t0), "DropReplay")
	}
	e.reopen()
	b := attempt("k", "another", t0)
	e.begin(b)
	e.keep(b)
	e.must(e.replayer().DropReplay(e.ctx(), b, t0), "DropReplay of a kept answer")
	if got, err := e.replayer().BeginReplay(e.ctx(), b); err != nil || got == nil {
		e.t.Errorf("a kept answer was dropped: %v, %v", got, err)
	}
}

func replayForgotten(e *env) {
	f, ok := e.s.(store.Forgetter)
	if !ok {
		e.t.Skip("the store forgets nothing")
	}
	a, b := attempt("k", "sent", t0), attempt("other", "sent", t0)
	end := t0.Add(store.ReplayLife)
	for _, x := range []store.Attempt{a, b} {
		e.begin(x)
		e.keep(x)
	}
	e.must(f.Forget(e.ctx(), end.Add(-time.Millisecond)), "Forget")
	a.At = end.Add(-time.Millisecond)
	if got, err := e.replayer().BeginReplay(e.ctx(), a); err != nil || got == nil {
		e.t.Errorf("1 ms before the end: %v, %v", got, err)
	}
	a = attempt("k", "another", end)
	e.begin(a) // exactly at the end the key is free, also for another request
	e.must(e.replayer().DropReplay(e.ctx(), a, end), "DropReplay")
	e.must(f.Forget(e.ctx(), end), "Forget")
	e.wantNoTrace("secretanswer")
	e.begin(attempt("other", "another", t0)) // it is really gone
}

func replayTooLarge(e *env) {
	a := attempt("k", "sent", t0)
	e.begin(a)
	answer := store.Answer{Status: 200, Header: map[string]string{"A": "b"}, Body: make([]byte, store.MaxAnswer-1)}
	e.wantCode(e.replayer().KeepReplay(e.ctx(), a, answer, t0), store.Invalid, "KeepReplay")
	answer.Body = answer.Body[1:]
	e.must(e.replayer().KeepReplay(e.ctx(), a, answer, t0), "KeepReplay of the largest")
}

// replayBound fills the store with answers of the largest size.
func replayBound(e *env) {
	answer := store.Answer{Status: 200, Body: make([]byte, store.MaxAnswer)}
	calls := store.MaxReplayBytes / store.MaxAnswer
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			a := attempt(fmt.Sprint(i), "sent", t0.Add(time.Duration(i)*time.Second))
			_, err := e.replayer().BeginReplay(e.ctx(), a)
			if err == nil {
				err = e.replayer().KeepReplay(e.ctx(), a, answer, a.At)
			}
			if err != nil && store.CodeOf(err) != store.Exhausted {
				e.t.Errorf("call %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	more := attempt("more", "sent", t0.Add(store.ReplayLife-time.Millisecond))
	_, err := e.replayer().BeginReplay(e.ctx(), more)
	e.wantCode(err, store.Exhausted, "one more than may be")
	if got, err := e.replayer().BeginReplay(e.ctx(), attempt("0", "sent", t0)); err != nil || got == nil {
		e.t.Errorf("one that is kept: %v, %v", got, err)
	}
	// Some are forgotten, by the call that needs their place.
	more.At = t0.Add(store.ReplayLife + 2*time.Second)
	e.begin(more)
}

// replayShare has one caller use up its share.
func replayShare(e *env) {
	answer := store.Answer{Status: 200, Body: make([]byte, store.MaxAnswer)}
	call := func(i int, owner string) (*store.Answer, error) {
		a := attempt(fmt.Sprint(i), "sent", t0)
		a.Owner = sha256.Sum256([]byte(owner))
		got, err := e.replayer().BeginReplay(e.ctx(), a)
		if err == nil && got == nil {
			err = e.replayer().KeepReplay(e.ctx(), a, answer, t0)
		}
		return got, err
	}
	n := 0
	for ; n < store.MaxReplayBytes/store.MaxAnswer; n++ {
		if _, err := call(n, "alice"); err != nil {
			e.wantCode(err, store.Exhausted, "one more than a share")
			break
		}
	}
	if share := store.MaxReplayBytes / store.MaxAnswer / store.OwnerShare; n < share || n > share+1 {
		e.t.Errorf("one caller has %d answers kept; want about %d", n, share)
	}
	e.reopen()
	_, err := call(n, "alice")
	e.wantCode(err, store.Exhausted, "after a restart")
	if got, err := call(0, "alice"); err != nil || got == nil {
		e.t.Errorf("one that is kept: %v, %v", got, err)
	}
	_, err = call(n, "bob")
	e.must(err, "a call of another")
	dropped := attempt("dropped", "sent", t0.Add(store.ReplayLife))
	dropped.Owner = sha256.Sum256([]byte("alice"))
	e.begin(dropped) // what has expired makes room
}

// replayOfTenant keeps answers about tenants before and after their purge.
func replayOfTenant(e *env) {
	e.createAll("root", "acme<root", "child<acme", "acme2<root")
	about := func(key, tenant string) store.Attempt {
		a := attempt(key, "sent", due10)
		e.begin(a)
		answer := made()
		answer.TenantID, answer.Body = tenant, []byte("secretanswer of "+tenant)
		e.must(e.replayer().KeepReplay(e.ctx(), a, answer, due10), "KeepReplay")
		return a
	}
	gone := []store.Attempt{about("1", "acme"), about("2", "acme"), about("3", "child")}
	stays := about("4", "acme2")
	late := attempt("late", "sent", due10)
	e.begin(late)
	e.deactivate("acme", t0, 10)
	e.purge("acme", due10)
	answer := made()
	answer.TenantID = "acme"
	e.must(e.replayer().KeepReplay(e.ctx(), late, answer, due10), "KeepReplay after the purge")
	e.wantNoTrace("secretanswer of acme\x00", "secretanswer of child", "secretanswer \x00")
	for range 2 {
		for _, a := range append(gone, late) {
			got, err := e.replayer().BeginReplay(e.ctx(), a)
			if err != nil || got == nil || got.Status != 201 || got.Header["Location"] != "/x" || len(got.Body) != 0 || !got.Forgotten || got.TenantID == "" {
				e.t.Errorf("after the purge the answer is %+v, %v", got, err)
			}
			other := a
			other.Digest[0]++
			_, err = e.replayer().BeginReplay(e.ctx(), other)
			e.wantCode(err, store.Conflict, "another request")
		}
		got, err := e.replayer().BeginReplay(e.ctx(), stays)
		if err != nil || got == nil || got.Forgotten || string(got.Body) != "secretanswer of acme2" {
			e.t.Errorf("of another tenant it is %+v, %v", got, err)
		}
		e.reopen()
	}
}

func replayRace(e *env) {
	for round := range 20 {
		a := attempt(fmt.Sprint(round), "sent", t0)
		var began atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got, err := e.replayer().BeginReplay(e.ctx(), a)
				switch {
				case err == nil && got == nil:
					began.Add(1)
					e.keep(a)
				case err != nil && !errors.Is(err, store.ErrUnderway):
					e.t.Errorf("BeginReplay: %v", err)
				case err == nil && !bytes.Equal(got.Body, made().Body):
					e.t.Errorf("answer %q", got.Body)
				}
			})
		}
		wg.Wait()
		if n := began.Load(); n != 1 {
			e.t.Fatalf("%d calls began", n)
		}
	}
}

func replayFenced(e *env) {
	old := attempt("k", "sent", t0)
	e.begin(old)
	end := t0.Add(store.ReplayLife)
	e.wantCode(e.replayer().KeepReplay(e.ctx(), old, made(), end), store.NotFound, "KeepReplay a day later")
	now := attempt("k", "sent", end)
	e.begin(now) // takes the key over
	e.wantCode(e.replayer().KeepReplay(e.ctx(), old, made(), end), store.NotFound, "KeepReplay of a call that lost its key")
	e.must(e.replayer().DropReplay(e.ctx(), old, end), "DropReplay of a call that lost its key")
	e.keep(now)
	e.wantCode(e.replayer().KeepReplay(e.ctx(), now, made(), end), store.NotFound, "a second answer")
	e.wantCode(e.replayer().KeepReplay(e.ctx(), attempt("unknown", "", t0), made(), t0), store.NotFound, "KeepReplay of what never began")
}

func replayCopied(e *env) {
	a, b := attempt("k", "sent", farFuture), attempt("open", "sent", farFuture)
	e.begin(a)
	e.keep(a)
	e.begin(b)
	var buf bytes.Buffer
	if _, err := e.s.Backup(e.ctx(), &buf); err != nil {
		e.t.Fatalf("Backup: %v", err)
	}
	if c, ok := e.s.(store.Compacter); ok {
		if _, err := c.Compact(e.ctx()); err != nil {
			e.t.Fatalf("Compact: %v", err)
		}
		_, err := e.replayer().BeginReplay(e.ctx(), b)
		if !errors.Is(err, store.ErrUnderway) {
			e.t.Errorf("a call under way, after a compaction: %v", err)
		}
		e.keep(b)
	}
	for _, x := range []*env{e, e.restored(buf.Bytes())} {
		got, err := x.replayer().BeginReplay(x.ctx(), a)
		e.must(err, "BeginReplay")
		wanted := made()
		e.equal(&wanted, got, "the answer")
	}
}

// replayer returns the store's replayer, or skips the case.
func (e *env) replayer() store.Replayer {
	e.t.Helper()
	r, ok := e.s.(store.Replayer)
	if !ok {
		e.t.Skip("the store keeps no answers")
	}
	return r
}

// must fails the case when there is an error.
func (e *env) must(err error, what string) {
	e.t.Helper()
	if err != nil {
		e.t.Fatalf("%s: %v", what, err)
	}
}

// begin fails the case unless the call is to be made.
func (e *env) begin(a store.Attempt) {
	e.t.Helper()
	if got, err := e.replayer().BeginReplay(e.ctx(), a); err != nil || got != nil {
		e.t.Fatalf("BeginReplay: %+v, %v; want the call to be made", got, err)
	}
}

// keep keeps an answer of a call that has begun.
func (e *env) keep(a store.Attempt) {
	e.t.Helper()
	if err := e.replayer().KeepReplay(e.ctx(), a, made(), a.At); err != nil {
		e.t.Errorf("KeepReplay: %v", err)
	}
}

// wantNoTrace fails the case when the texts are in the store's file after a
// compaction.
func (e *env) wantNoTrace(traces ...string) {
	e.t.Helper()
	c, ok := e.s.(store.Compacter)
	if !ok {
		return
	}
	if _, err := c.Compact(e.ctx()); err != nil {
		e.t.Fatalf("Compact: %v", err)
	}
	var buf bytes.Buffer
	if _, err := e.s.Backup(e.ctx(), &buf); err != nil {
		e.t.Fatalf("Backup: %v", err)
	}
	for _, trace := range traces {
		if bytes.Contains(buf.Bytes(), []byte(trace)) {
			e.t.Errorf("%q is still in the file", trace)
		}
	}
}
