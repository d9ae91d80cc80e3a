package resttarget_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// styles are the ways to find resources, each as a list of /v1/{kind}.
func styles() map[string]resttarget.List {
	base := resttarget.List{Items: "data", ID: "id", Owner: "tenant"}
	with := func(url string, p resttarget.Paging) resttarget.List {
		l := base
		l.URL, l.Paging = url, p
		return l
	}
	search := with("/search", resttarget.Paging{Type: "offset", Size: 40, Total: "total"})
	search.Method, search.Body = http.MethodPost, `{"tenant": "{tenant}", "offset": {offset}, "limit": {limit}}`
	return map[string]resttarget.List{
		"none":                  with("?tenant={tenant}&style=none", resttarget.Paging{}),
		"link":                  with("?tenant={tenant}&style=link", resttarget.Paging{Type: "link", Size: 40, SizeParam: "size"}),
		"link in body":          with("?tenant={tenant}&style=link", resttarget.Paging{Type: "link", Next: "nextUrl", SizeParam: "size"}),
		"cursor":                with("?tenant={tenant}&style=cursor", resttarget.Paging{Type: "cursor", Param: "at", Next: "next", Size: 40, SizeParam: "size"}),
		"last id":               with("?tenant={tenant}&style=cursor", resttarget.Paging{Type: "cursor", Param: "at", Next: "data.@reverse.0.n", More: "more"}),
		"offset":                with("?tenant={tenant}&style=offset", resttarget.Paging{Type: "offset", Param: "at", Size: 40, SizeParam: "size"}),
		"offset capped":         with("?tenant={tenant}&style=offset", resttarget.Paging{Type: "offset", Param: "at", Size: 1000, SizeParam: "size"}),
		"offset total":          with("?tenant={tenant}&style=offset&size={limit}&at={offset}", resttarget.Paging{Type: "offset", Size: 40, Total: "total"}),
		"page":                  with("?tenant={tenant}&style=page", resttarget.Paging{Type: "page", Param: "at", First: 1, Size: 40, SizeParam: "size"}),
		"page more":             with("?tenant={tenant}&style=page", resttarget.Paging{Type: "page", Param: "at", First: 1, Size: 40, SizeParam: "size", More: "more"}),
		"search":                search,
		"everybody's":           with("?style=cursor", resttarget.Paging{Type: "cursor", Param: "at", Next: "next"}),
		"everybody's by offset": with("?style=offset", resttarget.Paging{Type: "offset", Param: "at", Size: 40, SizeParam: "size"}),
	}
}

// listed returns the configuration of an API that lists in a style and deletes
// one by one.
func listed(base string, style resttarget.List, kinds ...store.Kind) resttarget.Config {
	cfg := resttarget.Config{Name: "api", BaseURL: base, Auth: httpcall.Auth{Bearer: token}, Kinds: map[store.Kind]resttarget.Kind{}}
	for _, k := range kinds {
		l := style
		l.URL = "/v1/" + string(k) + style.URL
		cfg.Kinds[k] = resttarget.Kind{
			List:   &l,
			Delete: &resttarget.Delete{Call: resttarget.Call{URL: "/v1/" + string(k) + "/by-id/{id}"}},
		}
	}
	return cfg
}

// atOnce returns the configuration of an API that deletes by tenant and kind.
func atOnce(base string, kinds ...store.Kind) resttarget.Config {
	cfg := resttarget.Config{Name: "api", BaseURL: base, Auth: httpcall.Auth{Bearer: token}, Kinds: map[store.Kind]resttarget.Kind{}}
	for _, k := range kinds {
		path := "/v1/" + string(k)
		cfg.Kinds[k] = resttarget.Kind{
			Count: &resttarget.Count{Call: resttarget.Call{URL: path + "/count?tenant={tenant}"}, Value: "count"},
			Purge: &resttarget.Purge{Call: resttarget.Call{URL: path + "?tenant={tenant}&limit={limit}"}, Deleted: "deleted"},
		}
	}
	return cfg
}

func newTarget(t *testing.T, cfg resttarget.Config) *resttarget.Target {
	t.Helper()
	target, err := resttarget.New(cfg, resttarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	return target
}

// conform runs the suite against an API.
func conform(t *testing.T, many int, configure func(base string) resttarget.Config) {
	t.Helper()
	targettest.Run(t, targettest.Harness{Many: many, New: func(t *testing.T) targettest.System {
		a, w := newAPI(t, ""), newWire()
		s := httptest.NewUnstartedServer(a)
		s.Config.ConnState = w.watch
		s.Start()
		target, err := resttarget.New(configure(s.URL), resttarget.Options{HTTP: httpcall.Options{Transport: w.transport()}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = target.Close() // which never fails
			s.Close()
		})
		return targettest.System{
			Target: target,
			// What was cancelled may still be carried out, and is then of what was there
			// before.
			Add: func(tenant string, kind store.Kind, n int) error {
				w.settle()
				return a.add(tenant, kind, n)
			},
			Left: func(tenant string, kind store.Kind) (int64, error) {
				w.settle()
				return a.left(tenant, kind)
			},
			// What stands before an API that is down often answers in its place.
			Break: func() {
				a.interfere = func(w http.ResponseWriter, _ *http.Request) bool {
					w.Header().Set("Content-Type", "text/html")
					_, _ = w.Write([]byte("<html>We will be back soon</html>"))
					return true
				}
			},
		}
	}})
}

func TestTarget_ConformsInEveryStyleOfPaging(t *testing.T) {
	for name, style := range styles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conform(t, 130, func(base string) resttarget.Config { return listed(base, style, store.KindUser) })
		})
	}
}

func TestTarget_ConformsWithEveryKind(t *testing.T) {
	t.Parallel()
	conform(t, 70, func(base string) resttarget.Config { return listed(base, styles()["cursor"], store.Kinds()...) })
}

func TestTarget_ConformsWithOneCallPerTenantAndKind(t *testing.T) {
	t.Parallel()
	conform(t, 130, func(base string) resttarget.Config { return atOnce(base, store.KindUser, store.KindAPIKey) })
}

// drain purges until there is no more.
func drain(t *testing.T, target purge.Target, r purge.Request) int64 {
	t.Helper()
	var sum int64
	for range 1000 {
		did, err := target.Purge(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		sum += did.Deleted
		if !did.More {
			return sum
		}
	}
	t.Fatal("a purge without an end")
	return 0
}

// TestPurge_G5_ResumesAfterTheAPIWasKilledBetweenEffectAndAnswer kills the API at
// each delete of a tenant in turn, after it was done and before it is answered,
// starts it again from its journal, and goes on.
func TestPurge_G5_ResumesAfterTheAPIWasKilledBetweenEffectAndAnswer(t *testing.T) {
	const n = 12
	for _, style := range []string{"link", "cursor", "offset", "page"} {
		for killAt := range n {
			path := filepath.Join(t.TempDir(), "journal")
			first := newAPI(t, path)
			if err := first.add("acme", store.KindUser, n); err != nil {
				t.Fatal(err)
			}
			if err := first.add("acme-1", store.KindUser, n); err != nil {
				t.Fatal(err)
			}
			deletes := 0
			first.interfere = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodDelete {
					return false
				}
				first.mu.Lock()
				deletes++
				kill := deletes > killAt
				first.mu.Unlock()
				if kill {
					if deletes == killAt+1 {
						first.serve(httptest.NewRecorder(), r)
					}
					panic(http.ErrAbortHandler) // the connection ends
				}
				return false
			}
			s := start(t, first)
			cfg := listed(s.URL, styles()[style], store.KindUser)
			cfg.Parallel = 1
			r := purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100}
			did, err := newTarget(t, cfg).Purge(context.Background(), r)
			if store.CodeOf(err) != store.Internal || did.Deleted != int64(killAt) {
				t.Fatalf("%s, killed at delete %d: %+v, %v; want %d deleted and a lost answer", style, killAt, did, err, killAt)
			}
			if purge.IsPermanent(err) {
				t.Fatalf("permanent: %v", err)
			}

			second := newAPI(t, path)
			cfg.BaseURL = start(t, second).URL
			target := newTarget(t, cfg)
			r.Resumed = true
			if got := drain(t, target, r); got != int64(n-killAt-1) {
				t.Errorf("%s, killed at delete %d: %d after the restart, want %d", style, killAt, got, n-killAt-1)
			}
			if left, err := target.Count(context.Background(), "acme", store.KindUser); err != nil || left != 0 {
				t.Errorf("%d left, %v", left, err)
			}
			if left, _ := second.left("acme-1", store.KindUser); left != n {
				t.Errorf("the neighbour has %d of %d", left, n)
			}
		}
	}
}
