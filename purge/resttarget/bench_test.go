package resttarget_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// benchAPI is a REST API that costs little: what it holds is a number, and a
// delete takes as long as a database commit.
type benchAPI struct {
	left  atomic.Int64
	delay time.Duration
}

func (a *benchAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		if a.delay > 0 {
			time.Sleep(a.delay)
		}
		a.left.Add(-1)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var b strings.Builder
	b.WriteByte('[')
	for i := range min(a.left.Load(), 1000) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"user-%d","org":"acme"}`, i)
	}
	b.WriteByte(']')
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, b.String())
}

// BenchmarkPurge_64FoldAgainstABareLoop deletes 4,000 users at a time through the
// target, with its lists, and with a loop of the same width around a bare
// http.Client that knows the ids, by turns. It reports the throughput of the
// target as a share of the loop's, for an API that answers at once and for one
// whose deletes take 2 ms.
func BenchmarkPurge_64FoldAgainstABareLoop(b *testing.B) {
	const width, n = 64, 4000
	for _, delay := range []time.Duration{0, 2 * time.Millisecond} {
		b.Run(fmt.Sprint("delete=", delay), func(b *testing.B) {
			a := &benchAPI{delay: delay}
			s := httptest.NewServer(a)
			defer s.Close()
			target, err := resttarget.New(resttarget.Config{Name: "api", BaseURL: s.URL, Parallel: width, Kinds: map[store.Kind]resttarget.Kind{store.KindUser: {
				List:   &resttarget.List{Call: resttarget.Call{URL: "/users?org={tenant}"}, ID: "id", Owner: "org"},
				Delete: &resttarget.Delete{Call: resttarget.Call{URL: "/users/{id}"}},
			}}}, resttarget.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer target.Close()
			transport := &http.Transport{MaxIdleConnsPerHost: width}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			ctx := context.Background()
			runs := map[bool]func(){
				true: func() {
					for more := true; more; {
						did, err := target.Purge(ctx, purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 5000})
						if err != nil {
							b.Fatal(err)
						}
						more = did.Deleted > 0
					}
				},
				false: func() { bareLoop(b, client, s.URL, width, n) },
			}
			var ratios []float64
			var ours time.Duration
			for round := 0; b.Loop(); round++ {
				took := map[bool]time.Duration{}
				for _, mine := range []bool{round%2 == 0, round%2 != 0} {
					a.left.Store(n)
					began := time.Now()
					runs[mine]()
					took[mine] = time.Since(began)
					if left := a.left.Load(); left != 0 {
						b.Fatalf("%d are left", left)
					}
				}
				ratios = append(ratios, took[false].Seconds()/took[true].Seconds())
				ours += took[true]
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(float64(n*len(ratios))/ours.Seconds(), "deletes/s")
		})
	}
}

// bareLoop makes n deletes, width at a time.
func bareLoop(b *testing.B, client *http.Client, base string, width, n int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range width {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				req, err := http.NewRequestWithContext(context.Background(), http.MethodDelete, fmt.Sprint(base, "/users/user-", i), http.NoBody)
				if err != nil {
					b.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}
