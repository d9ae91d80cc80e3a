package resttarget_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// soft is an API that lists what it has deleted for as long as it lags.
type soft struct {
	lag time.Duration // 0: for ever
	// says404 answers a second DELETE so.
	says404 bool

	mu      sync.Mutex
	ids     []string
	gone    map[string]time.Time
	deletes int
}

func (s *soft) target(t *testing.T, n int) *resttarget.Target {
	s.gone = map[string]time.Time{}
	for i := range n {
		s.ids = append(s.ids, fmt.Sprint("u", i))
	}
	api := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Method == http.MethodDelete {
			s.deletes++
			id := strings.TrimPrefix(r.URL.Path, "/base/users/")
			if _, again := s.gone[id]; again {
				if s.says404 {
					return 404, nil, `{}`
				}
				return 204, nil, ""
			}
			s.gone[id] = time.Now()
			return 204, nil, ""
		}
		listed := []string{}
		for _, id := range s.ids {
			if at, gone := s.gone[id]; !gone || s.lag == 0 || time.Since(at) < s.lag {
				listed = append(listed, id)
			}
		}
		var at int
		_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
		at = min(at, len(listed))
		return 200, nil, body(t, listed[at:min(at+5, len(listed))])
	}}
	k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}, Paging: resttarget.Paging{Type: "offset", Param: "at", Size: 5}}, Delete: deleteUser()}
	target, _ := scriptedTarget(t, k, api)
	return target
}

// steps takes steps until there is no more, or an error.
func steps(t *testing.T, target *resttarget.Target, limit int) (sum purge.Removed, err error) {
	t.Helper()
	for range 100 {
		did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: limit})
		sum.Deleted, sum.Gone, sum.Inexact = sum.Deleted+did.Deleted, sum.Gone+did.Gone, sum.Inexact || did.Inexact
		if err != nil || !did.More {
			return sum, err
		}
	}
	t.Fatalf("100 steps, %+v, and there is more", sum)
	return sum, nil
}

// A system that answers 204 and lists for ever is not deleted from for ever, and each
// resource counts once.
func TestPurge_G5_ASoftDeleteIsAnErrorAndCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []int{3, 5000} {
			s := &soft{}
			target := s.target(t, 8)
			began := time.Now()
			sum, err := steps(t, target, limit)
			if store.CodeOf(err) != store.Precondition || purge.IsPermanent(err) || !strings.Contains(err.Error(), "softly") || sum.Deleted != 8 {
				t.Errorf("limit %d: %+v, %v; want 8 and an error that names soft deletes", limit, sum, err)
			}
			if took := time.Since(began); s.deletes > 8+6 || took > 10*time.Second {
				t.Errorf("limit %d: %d DELETEs of 8 in %s", limit, s.deletes, took)
			}
			for range 5 { // later attempts, as of the engine
				time.Sleep(30 * time.Second)
				again, err := steps(t, target, limit)
				if store.CodeOf(err) != store.Precondition || again.Deleted != 0 {
					t.Errorf("limit %d, later: %+v, %v", limit, again, err)
				}
			}
		}
	})
}

// One page of them is deleted in a single step, which does not look at the list again:
// the next attempt does, and counts nothing twice.
func TestPurge_G5_ASoftDeleteOfOnePageIsAnErrorOfTheNextAttemptAndCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &soft{}
		target := s.target(t, 4)
		sum, err := steps(t, target, 5000)
		if err != nil || sum != (purge.Removed{Deleted: 4}) {
			t.Fatalf("%+v, %v", sum, err)
		}
		for range 5 {
			time.Sleep(30 * time.Second)
			again, err := steps(t, target, 5000)
			if store.CodeOf(err) != store.Precondition || !strings.Contains(err.Error(), "softly") || again.Deleted != 0 || !again.Inexact {
				t.Errorf("later: %+v, %v; want none, inexact, and an error that names soft deletes", again, err)
			}
		}
	})
}

// An index that lags a few seconds is waited for, and no resource counts twice.
func TestPurge_G5_ALaggingListIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lag := range []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second} {
			for _, says404 := range []bool{false, true} {
				for _, limit := range []int{3, 5000} {
					s := &soft{lag: lag, says404: says404}
					sum, err := steps(t, s.target(t, 8), limit)
					if err != nil || sum != (purge.Removed{Deleted: 8}) || len(s.gone) != 8 {
						t.Errorf("%s, 404 %t, limit %d: %+v, %v; want 8, exactly", lag, says404, limit, sum, err)
					}
				}
			}
		}
	})
}

// One that lags longer is an error, and a later attempt, when it has caught up, ends
// with the same count.
func TestPurge_G5_AListThatCatchesUpBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &soft{lag: 40 * time.Second}
		target := s.target(t, 8)
		sum, err := steps(t, target, 5000)
		if store.CodeOf(err) != store.Precondition || sum.Deleted != 8 {
			t.Fatalf("%+v, %v", sum, err)
		}
		time.Sleep(time.Minute)
		if sum, err = steps(t, target, 5000); err != nil || sum != (purge.Removed{}) {
			t.Errorf("later: %+v, %v", sum, err)
		}
	})
}

// What was made anew under the same id is removed, and the count says that it may be
// one too low.
func TestPurge_G5_WhatIsMadeAnewIsRemovedAndTheCountInexact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &soft{lag: time.Second}
		target := s.target(t, 8)
		if did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 4}); err != nil || did.Deleted != 4 {
			t.Fatalf("%+v, %v", did, err)
		}
		time.Sleep(time.Minute)
		delete(s.gone, "u1")
		sum, err := steps(t, target, 5000)
		if err != nil || sum.Deleted != 4 || !sum.Inexact || len(s.gone) != 8 {
			t.Errorf("%+v, %v; want the other 4, and inexact; %d are gone", sum, err, len(s.gone))
		}
	})
}

// What is listed and gone, by another's hand, is said to be gone, and not removed.
func TestPurge_G5_WhatWasGoneIsToldApart(t *testing.T) {
	s := &soft{says404: true}
	target := s.target(t, 8)
	for i := range 3 {
		s.gone[fmt.Sprint("u", i)] = time.Now()
	}
	did, err := target.Purge(t.Context(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100})
	if err != nil || did.Deleted != 5 || did.Gone != 3 || did.Inexact {
		t.Errorf("%+v, %v; want 5 and 3 gone", did, err)
	}
	if sum, err := steps(t, target, 100); err != nil || sum != (purge.Removed{}) {
		t.Errorf("again: %+v, %v; want nothing to be counted twice", sum, err)
	}
}
