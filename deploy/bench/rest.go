package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// The limits of purging through a REST API.
const (
	restWidth    = 64
	leastLoop    = 0.8
	restPage     = 1_000 // users of a list
	commitsAfter = 2 * time.Millisecond
)

// rest purges one tenant through a REST API, by turns with a loop of the same
// width around a bare client that knows the ids, and neither lists nor counts: an
// API that answers at once, and one whose deletes take as long as a commit.
func (b *bench) rest(ctx context.Context) error {
	l := &lines{prefix: "tenant", roots: 1, due: true}
	from, err := b.store(ctx, "tenant of an API", l)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		what  string
		delay time.Duration
	}{{"answers at once", 0}, {fmt.Sprint("deletes take ", commitsAfter), commitsAfter}} {
		if err := b.restAgainst(ctx, "rest: "+c.what, from, &restAPI{tenant: l.id(0), holds: b.sizes.calls, delay: c.delay}); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return nil
}

// restAgainst is one comparison.
func (b *bench) restAgainst(ctx context.Context, what, from string, a *restAPI) error {
	address, stop, err := serve(ctx, a)
	if err != nil {
		return err
	}
	defer stop()
	base := "http://" + address
	target, err := resttarget.New(resttarget.Config{Name: "api", BaseURL: base, Parallel: restWidth, Kinds: map[store.Kind]resttarget.Kind{store.KindUser: {
		List: &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, Items: "users", ID: "id", Owner: "org",
			Paging: resttarget.Paging{Type: resttarget.PagingCursor, Param: "after", Next: "next"}},
		Delete: &resttarget.Delete{Call: resttarget.Call{URL: "/users/{id}"}},
	}}}, resttarget.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }() // which never fails
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: restWidth}}
	defer client.CloseIdleConnections()
	through := func() (took time.Duration, err error) {
		err = b.with(ctx, from, true, func(s *boltstore.Store) error {
			began := time.Now()
			err := pass(ctx, s, a.holds, guard{target, purge.DefaultPolicy()})
			took = time.Since(began)
			return err
		})
		return took, err
	}
	bare := func() (time.Duration, error) {
		began := time.Now()
		err := bareDeletes(ctx, client, base, a.holds)
		return time.Since(began), err
	}
	var took [2][]time.Duration
	for round := range b.rounds {
		for i := range took {
			i = (i + round) % len(took)
			a.deleted.Store(0)
			t, err := [2]func() (time.Duration, error){bare, through}[i]()
			if err != nil {
				return err
			}
			if n := a.deleted.Load(); n != a.holds {
				return fmt.Errorf("%d were deleted of %d", n, a.holds)
			}
			took[i] = append(took[i], t)
		}
	}
	of := ratios(took[0], took[1])
	rate := func(d time.Duration) float64 { return float64(a.holds) / d.Seconds() }
	b.table.note(what+", a bare client, 64 at a time", rate(median(took[0])), "%.0f", "/s")
	b.table.note(what+", purged by a pass, 64 at a time", rate(median(took[1])), "%.0f", "/s")
	b.table.atLeast(what+", the pass against the bare client", median(of), leastLoop, "%.2f", "x")
	return nil
}

// bareDeletes makes n deletes.
func bareDeletes(ctx context.Context, client *http.Client, base string, n int64) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, restWidth)
	for w := range errs {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < n && errs[w] == nil; i = next.Add(1) - 1 {
				errs[w] = bareDelete(ctx, client, fmt.Sprint(base, "/users/user-", i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func bareDelete(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// restAPI is an API that costs little: what it holds is a number of users of one
// tenant, which are deleted in the order of their ids.
type restAPI struct {
	tenant  string
	holds   int64
	delay   time.Duration // of a delete
	deleted atomic.Int64
}

func (a *restAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		if a.delay > 0 {
			<-time.After(a.delay)
		}
		a.deleted.Add(1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64) // none is the first page
	first := max(after, a.deleted.Load())
	end := min(first+restPage, a.holds)
	items := make([]string, 0, restPage)
	for i := first; i < end; i++ {
		items = append(items, fmt.Sprintf(`{"id":"user-%d","org":%q}`, i, a.tenant))
	}
	next := ""
	if end < a.holds {
		next = strconv.FormatInt(end, 10)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"users":[%s],"next":%q}`, strings.Join(items, ","), next)
}
