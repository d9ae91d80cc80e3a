package resttarget_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// crowd is everybody's list, five to a page, which somebody changes before a page is
// read.
type crowd struct {
	mu     sync.Mutex
	left   [][2]string // id and owner
	change func(c *crowd, at int)
	asked  int
}

func (c *crowd) add(owner string, n int) {
	for range n {
		c.left = append(c.left, [2]string{fmt.Sprint(owner, len(c.left)), owner})
	}
}

func (c *crowd) drop(owner string) {
	c.left = slices.DeleteFunc(c.left, func(u [2]string) bool { return u[1] == owner })
}

// target has paging p by the parameter "at".
func (c *crowd) target(t *testing.T, url string, p resttarget.Paging) *resttarget.Target {
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked++
		var at int
		_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
		if p.Type == resttarget.PagingPage {
			at *= 5
		}
		if c.change != nil {
			c.change(c, at)
		}
		all := c.left
		if of := r.URL.Query().Get("of"); of != "" {
			all = slices.DeleteFunc(slices.Clone(all), func(u [2]string) bool { return u[1] != of })
		}
		var items []string
		for _, u := range all[min(at, len(all)):min(at+5, len(all))] {
			items = append(items, fmt.Sprintf(`{"id":%q,"org":%q}`, u[0], u[1]))
		}
		return 200, nil, fmt.Sprintf(`{"total":%d,"data":[%s]}`, len(all), strings.Join(items, ","))
	}}
	k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: url}, Items: "data", ID: "id", Owner: "org", Paging: p}, Delete: deleteUser()}
	target, _ := scriptedTarget(t, k, s)
	return target
}

func numbered() map[string]resttarget.Paging {
	return map[string]resttarget.Paging{
		"offset":            {Type: "offset", Param: "at", Size: 5},
		"offset with total": {Type: "offset", Param: "at", Size: 5, Total: "total"},
		"page":              {Type: "page", Param: "at", Size: 5},
		"page with total":   {Type: "page", Param: "at", Size: 5, Total: "total"},
	}
}

// Another tenant's purge has the only user of acme move from the second page to the
// first while the count is between the two.
func TestCount_G6_WhatMovesUpBetweenPagesIsCounted(t *testing.T) {
	for name, p := range numbered() {
		for _, first := range []int{5, 8} {
			c := &crowd{change: func(c *crowd, at int) {
				if at == 5 {
					c.drop("globex")
				}
			}}
			c.add("globex", first)
			c.add("acme", 1)
			if n, err := c.target(t, "/users", p).Count(t.Context(), "acme", store.KindUser); err != nil || n != 1 {
				t.Errorf("%s: Count = %d, %v with %v left", name, n, err, c.left)
			}
		}
	}
}

// One is removed and another added, once or twice, so that the number of all stays: two
// walks of the same length that each miss another one are not the same.
func TestCount_G6_AListOfTheSameLengthIsNotTheSame(t *testing.T) {
	for name, p := range numbered() {
		for times := 1; times <= 2; times++ {
			rest := times
			c := &crowd{change: func(c *crowd, at int) {
				if at == 5 && rest > 0 {
					rest--
					c.left = c.left[1:]
					c.add("initech", 1)
				}
			}}
			c.add("globex", 5)
			c.add("acme", times)
			if n, err := c.target(t, "/users", p).Count(t.Context(), "acme", store.KindUser); err != nil || n != int64(times) {
				t.Errorf("%s, %d times: Count = %d, %v with %v left", name, times, n, err, c.left)
			}
		}
	}
}

// What purger itself deletes for one tenant does not move the list under the walk of
// another, which would otherwise take what it missed for nothing.
func TestPurge_G6_NobodyDeletesFromAListThatIsGoneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var walking, deleting, together atomic.Int32
		left := []string{}
		for i := range 40 {
			left = append(left, fmt.Sprintf("%s-%d", []string{"globex", "acme"}[i%2], i))
		}
		var mu sync.Mutex
		s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
			busy, other := &walking, &deleting
			if r.Method == http.MethodDelete {
				busy, other = other, busy
			}
			busy.Add(1)
			defer busy.Add(-1)
			time.Sleep(time.Millisecond)
			together.Add(min(other.Load(), 1))
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodDelete {
				left = slices.DeleteFunc(left, func(id string) bool { return r.URL.Path == "/base/users/"+id })
				return 204, nil, ""
			}
			var at int
			_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
			var items []string
			for _, id := range left[min(at, len(left)):min(at+5, len(left))] {
				org, _, _ := strings.Cut(id, "-")
				items = append(items, fmt.Sprintf(`{"id":%q,"org":%q}`, id, org))
			}
			return 200, nil, "[" + strings.Join(items, ",") + "]"
		}}
		k := resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users"}, ID: "id", Owner: "org", OwnerConfirmed: true,
			Paging: resttarget.Paging{Type: "offset", Param: "at", Size: 5}}, Delete: deleteUser()}
		target, _ := scriptedTarget(t, k, s)
		var tenants sync.WaitGroup
		for _, id := range []string{"globex", "acme"} {
			tenants.Go(func() {
				if sum := drain(t, target, purge.Request{TenantID: id, Kind: store.KindUser, Limit: 3}); sum != 20 {
					t.Errorf("%s: %d removed of 20", id, sum)
				}
				if n, err := target.Count(t.Context(), id, store.KindUser); err != nil || n != 0 {
					t.Errorf("%s: Count = %d, %v", id, n, err)
				}
			})
		}
		tenants.Wait()
		if together.Load() > 0 {
			t.Errorf("%d requests of a walk and a deletion were under way together", together.Load())
		}
	})
}

// A full page and nothing behind it: what was behind it may be on it now.
func TestCount_G6_AnEmptySecondPageIsNoProof(t *testing.T) {
	once := true
	c := &crowd{change: func(c *crowd, at int) {
		if at == 5 && once {
			once = false
			c.left = c.left[1:]
		}
	}}
	c.add("globex", 5)
	c.add("acme", 1)
	if n, err := c.target(t, "/users", numbered()["offset"]).Count(t.Context(), "acme", store.KindUser); err != nil || n != 1 {
		t.Errorf("Count = %d, %v with %v left", n, err, c.left)
	}
}

func TestCount_G6_AListThatNeverRestsIsAnError(t *testing.T) {
	c := &crowd{change: func(c *crowd, at int) {
		if at > 0 {
			c.left = c.left[1:]
		}
	}}
	c.add("globex", 100)
	n, err := c.target(t, "/users", numbered()["offset"]).Count(t.Context(), "acme", store.KindUser)
	if store.CodeOf(err) != store.Conflict || n != 0 || !strings.Contains(err.Error(), "{tenant}") {
		t.Errorf("Count = %d, %v; want an error that says which list would do", n, err)
	}
}

// What one tenant has is read once where a total says that it is all, and an empty
// list is one request in any case.
func TestCount_AListThatCannotHaveMovedIsReadOnce(t *testing.T) {
	for name, p := range numbered() {
		for users, want := range map[int][2]int{0: {1, 1}, 3: {4, 1}, 12: {8, 3}} { // without a total twice, with an empty page
			c := &crowd{}
			c.add("acme", users)
			n, err := c.target(t, "/users?of={tenant}", p).Count(t.Context(), "acme", store.KindUser)
			asked := want[0]
			if p.Total != "" {
				asked = want[1]
			}
			if err != nil || n != int64(users) || c.asked != asked {
				t.Errorf("%s: Count = %d, %v after %d requests; want %d after %d", name, n, err, c.asked, users, asked)
			}
		}
	}
}
