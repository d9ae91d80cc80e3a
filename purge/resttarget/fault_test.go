package resttarget_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// fault is a way in which an API answers wrongly.
type fault struct {
	name string
	do   http.HandlerFunc
	// list and del are the codes wanted when the list or a delete is answered
	// that way.
	list, del store.Code
	wait      time.Duration
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html><h1>Sign in</h1></html>")
}

// written answers with a type and a body.
func written(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// faults returns them; slow ones hang until release is closed, and stranger is
// the URL of a host that must not be called.
func faults(release chan struct{}, stranger string) []fault {
	date := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	const down, lost = store.Unavailable, store.Internal
	return []fault{
		{"HTML with 200", html, down, lost, 0},
		{"empty body where JSON is said to be", written("application/json", ""), down, "", 0}, // nothing is what most deletes answer
		{"truncated JSON", written("application/json", `{"data":[{"id":"x"`), down, lost, 0},
		{"JSON that says it is text", written("text/plain", `{"data":[]}`), down, lost, 0},
		{"connection cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, down, lost, 0},
		{"429 with seconds", status(429, "Retry-After", "17"), store.Exhausted, store.Exhausted, 17 * time.Second},
		{"503 with a date", status(503, "Date", date.Format(http.TimeFormat), "Retry-After", date.Add(time.Minute).Format(http.TimeFormat)), down, lost, time.Minute},
		{"redirect", status(302, "Location", stranger), down, lost, 0},
		{"permanent redirect", status(308, "Location", stranger), down, lost, 0},
		{"408", status(408), down, lost, 0},
		{"401", status(401), store.Unauthenticated, store.Unauthenticated, 0},
		{"403", status(403), store.Forbidden, store.Forbidden, 0},
		{"500", status(500), down, lost, 0},
		{"502", status(502), down, lost, 0},
		{"slow body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			<-release
		}, down, lost, 0},
		{"huge body", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<20))
			_, _ = io.WriteString(w, `{"data":[]}`)
		}, down, lost, 0},
	}
}

// TestFault_AbsenceIsNeverTakenForConsent has the list answered wrongly, on the
// first page and on the second.
func TestFault_AbsenceIsNeverTakenForConsent(t *testing.T) {
	release := make(chan struct{})
	var strangers atomic.Int32
	stranger := start(t, newAPI(t, ""))
	stranger.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strangers.Add(1) })
	list := func(body string) http.HandlerFunc { return written("application/json", body) }
	const down = store.Unavailable
	cases := append(faults(release, stranger.URL), []fault{
		{"404", status(404, "Content-Type", "application/json"), store.NotFound, "", 0},
		{"410", status(410), store.Gone, "", 0},
		{"no array", list(`{}`), down, "", 0},
		{"null for the array", list(`{"data":null}`), down, "", 0},
		{"an object for the array", list(`{"data":{}}`), down, "", 0},
		{"an array for the object", list(`[]`), down, "", 0},
		{"an item without an id", list(`{"data":[{"tenant":"acme"}]}`), down, "", 0},
		{"an item with an empty id", list(`{"data":[{"id":"","tenant":"acme"}]}`), down, "", 0},
		{"an item without an owner", list(`{"data":[{"id":"x"}]}`), down, "", 0},
		{"another host next", list(`{"data":[],"next":"` + stranger.URL + `/v1/user"}`), store.Forbidden, "", 0},
	}...)
	for _, c := range cases {
		for _, page := range []int{1, 2} {
			if page == 2 && (c.list == store.Exhausted || c.wait > 0) {
				continue // that is waited for; see patience_test.go
			}
			a := newAPI(t, "")
			a.maxPage = 5
			if err := a.add("acme", store.KindUser, 8); err != nil {
				t.Fatal(err)
			}
			var pages atomic.Int32
			a.interfere = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || int(pages.Add(1)) < page {
					return false
				}
				c.do(w, r)
				return true
			}
			style := styles()["link in body"]
			style.Paging.Next = "nextUrl"
			if strings.HasPrefix(c.name, "another host") {
				style.Paging.Next = "next"
				if page == 2 {
					continue // the first page has no URL there
				}
			}
			cfg := listed(start(t, a).URL, style, store.KindUser)
			cfg.Timeout, cfg.MaxBody = 300*time.Millisecond, 100_000
			target := newTarget(t, cfg)
			n, err := target.Count(context.Background(), "acme", store.KindUser)
			if store.CodeOf(err) != c.list || n != 0 {
				t.Errorf("%s, page %d: Count = %d, %v (%s); want code %s", c.name, page, n, err, store.CodeOf(err), c.list)
			}
			waits(t, c.name, err, c.wait)
			pages.Store(0)
			did, err := target.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100})
			if store.CodeOf(err) != c.list || did.Deleted != 0 || ended(err) || purge.IsPermanent(err) {
				t.Errorf("%s, page %d: Purge = %+v, %v; want code %s and nothing deleted", c.name, page, did, err, c.list)
			}
			if left, _ := a.left("acme", store.KindUser); left != 8 {
				t.Errorf("%s, page %d: %d of 8 are left", c.name, page, left)
			}
		}
	}
	close(release)
	if strangers.Load() != 0 {
		t.Errorf("a host that is not configured was called %d times", strangers.Load())
	}
}

func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// waits checks what an error says about when to try again.
func waits(t *testing.T, name string, err error, want time.Duration) {
	t.Helper()
	var e purge.RetryAfter
	if !errors.As(err, &e) {
		if want != 0 {
			t.Errorf("%s: %v does not say when to try again", name, err)
		}
	} else if e.RetryAfter() != want {
		t.Errorf("%s: try again after %s, want %s", name, e.RetryAfter(), want)
	}
}

// TestFault_G5_DeletesAccountForWhatTheyDid has every third delete answered
// wrongly, before it is carried out and after.
func TestFault_G5_DeletesAccountForWhatTheyDid(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for _, c := range faults(release, "http://stranger.example/") {
		for _, effect := range []bool{false, true} {
			const n = 30
			a := newAPI(t, "")
			if err := a.add("acme", store.KindUser, n); err != nil {
				t.Fatal(err)
			}
			var deletes, wrong atomic.Int32
			healed := false
			a.interfere = func(w http.ResponseWriter, r *http.Request) bool {
				if healed || r.Method != http.MethodDelete || deletes.Add(1)%3 != 0 {
					return false
				}
				wrong.Add(1)
				if effect {
					a.serve(httptest.NewRecorder(), r)
				}
				c.do(w, r)
				return true
			}
			cfg := listed(start(t, a).URL, styles()["cursor"], store.KindUser)
			cfg.Timeout, cfg.MaxBody, cfg.Parallel = 300*time.Millisecond, 100_000, 4
			target := newTarget(t, cfg)
			r := purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100}
			did, err := target.Purge(context.Background(), r)
			left, _ := a.left("acme", store.KindUser)
			gone := n - left
			lost := store.CodeOf(err) == store.Internal
			if wrong.Load() == 0 || store.CodeOf(err) != c.del || purge.IsPermanent(err) {
				t.Errorf("%s: %v (%s) after %d wrong answers; want code %q", c.name, err, store.CodeOf(err), wrong.Load(), c.del)
			}
			if did.Deleted > gone && c.del != "" || lost && effect && did.Deleted != gone-int64(wrong.Load()) || !lost && !effect && c.del != "" && did.Deleted != gone {
				t.Errorf("%s (carried out: %t): %d are gone, %d answers were wrong, and %d were reported", c.name, effect, gone, wrong.Load(), did.Deleted)
			}
			waits(t, c.name, err, c.wait)
			healed = true
			r.Resumed = true
			drain(t, target, r)
			if left, _ := a.left("acme", store.KindUser); left != 0 {
				t.Errorf("%s: %d are left after a retry", c.name, left)
			}
		}
	}
}

// TestFault_G11_OneThatIsRefusedDoesNotKeepTheOthers has the API refuse to
// delete some.
func TestFault_G11_OneThatIsRefusedDoesNotKeepTheOthers(t *testing.T) {
	for _, code := range []int{400, 403, 409, 422, 500} {
		a := newAPI(t, "")
		if err := a.add("acme", store.KindUser, 40); err != nil {
			t.Fatal(err)
		}
		a.interfere = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete && (strings.Contains(r.URL.Path, "user-1%") || strings.HasSuffix(r.URL.Path, "user-1") || strings.Contains(r.URL.Path, "user-20")) {
				fail(w, code)
				return true
			}
			return false
		}
		target := newTarget(t, listed(start(t, a).URL, styles()["cursor"], store.KindUser))
		did, err := target.Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 100})
		if err == nil || did.Deleted != 38 {
			t.Errorf("status %d for two of 40: %+v, %v; want 38 deleted and an error", code, did, err)
		}
	}
}

// TestFault_StopsWhenEverythingIsRefused counts the deletes that are sent to an
// API that takes none.
func TestFault_StopsWhenEverythingIsRefused(t *testing.T) {
	for code, most := range map[int]int32{401: 4, 429: 4, 503: 4, 409: 13, 500: 13} {
		a := newAPI(t, "")
		if err := a.add("acme", store.KindUser, 200); err != nil {
			t.Fatal(err)
		}
		var deletes atomic.Int32
		a.interfere = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				deletes.Add(1)
				fail(w, code)
				return true
			}
			return false
		}
		cfg := listed(start(t, a).URL, styles()["cursor"], store.KindUser)
		cfg.Parallel = 4
		if _, err := newTarget(t, cfg).Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 1000}); err == nil {
			t.Errorf("status %d: no error", code)
		}
		if n := deletes.Load(); n > most {
			t.Errorf("status %d: %d of 200 deletes were sent, want at most %d", code, n, most)
		}
	}
}

// TestFault_ListsThatNeverEndAreErrors has APIs that do not know the parameters
// of the paging, or go round in circles.
func TestFault_ListsThatNeverEndAreErrors(t *testing.T) {
	var calls atomic.Int32
	for name, c := range map[string]struct {
		paging resttarget.Paging
		answer func(n int32) string
	}{
		"offset that is ignored": {resttarget.Paging{Type: "offset", Param: "o"}, func(int32) string { return `{"data":[{"id":"a","tenant":"acme"},{"id":"b","tenant":"acme"}]}` }},
		"page that is ignored":   {resttarget.Paging{Type: "page", Param: "p"}, func(int32) string { return `{"data":[{"id":"a","tenant":"other"}]}` }},
		"cursor that stays":      {resttarget.Paging{Type: "cursor", Param: "c", Next: "next"}, func(int32) string { return `{"data":[],"next":"x"}` }},
		"cursors in a circle":    {resttarget.Paging{Type: "cursor", Param: "c", Next: "next"}, func(n int32) string { return `{"data":[],"next":` + string('1'+n%7) + `}` }},
		"links in a circle":      {resttarget.Paging{Type: "link", Next: "next"}, func(n int32) string { return `{"data":[],"next":"/` + string('1'+n%7) + `"}` }},
	} {
		calls.Store(0)
		a := newAPI(t, "")
		a.interfere = func(w http.ResponseWriter, _ *http.Request) bool {
			written("application/json", c.answer(calls.Add(1)))(w, nil)
			return true
		}
		style := resttarget.List{Call: resttarget.Call{URL: "?tenant={tenant}"}, Items: "data", ID: "id", Owner: "tenant", Paging: c.paging}
		target := newTarget(t, listed(start(t, a).URL, style, store.KindUser))
		n, err := target.Count(context.Background(), "acme", store.KindUser)
		if store.CodeOf(err) != store.Unavailable || n != 0 || calls.Load() > 40 {
			t.Errorf("%s: %d, %v after %d calls; want an error soon", name, n, err, calls.Load())
		}
	}
}

// TestFault_AtOnceTellsWhatIsLost has the one call of a tenant and kind answered
// wrongly.
func TestFault_AtOnceTellsWhatIsLost(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for _, c := range faults(release, "http://stranger.example/") {
		a := newAPI(t, "")
		if err := a.add("acme", store.KindUser, 3); err != nil {
			t.Fatal(err)
		}
		a.interfere = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				c.do(w, r)
				return true
			}
			return false
		}
		cfg := atOnce(start(t, a).URL, store.KindUser)
		cfg.Timeout, cfg.MaxBody = 300*time.Millisecond, 100_000
		did, err := newTarget(t, cfg).Purge(context.Background(), purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 10})
		want := c.del
		if want == "" {
			want = store.Internal // it is to say how many
		}
		if store.CodeOf(err) != want || did.Deleted != 0 {
			t.Errorf("%s: %+v, %v; want code %s", c.name, did, err, want)
		}
	}
}

// TestPurge_AtOnceCountsBeforeAndAfter is for an API that does not say how many
// it removed.
func TestPurge_AtOnceCountsBeforeAndAfter(t *testing.T) {
	a := newAPI(t, "")
	if err := a.add("acme", store.KindUser, 7); err != nil {
		t.Fatal(err)
	}
	countFails := false
	a.interfere = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			a.serve(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusAccepted)
			countFails = true
			return true
		}
		if countFails && r.URL.Query().Get("tenant") == "globex" {
			fail(w, 503)
			return true
		}
		return false
	}
	cfg := atOnce(start(t, a).URL, store.KindUser)
	k := cfg.Kinds[store.KindUser]
	k.Purge.Deleted = ""
	target := newTarget(t, cfg)
	r := purge.Request{TenantID: "acme", Kind: store.KindUser, Limit: 5}
	if did, err := target.Purge(context.Background(), r); err != nil || did != (purge.Removed{Deleted: 5, More: true}) {
		t.Errorf("%+v, %v", did, err)
	}
	if did, err := target.Purge(context.Background(), r); err != nil || did != (purge.Removed{Deleted: 2}) {
		t.Errorf("%+v, %v", did, err)
	}
	if err := a.add("globex", store.KindUser, 1); err != nil {
		t.Fatal(err)
	}
	countFails = false
	r.TenantID = "globex"
	if did, err := target.Purge(context.Background(), r); store.CodeOf(err) != store.Internal || did.Deleted != 0 {
		t.Errorf("removed and then not counted: %+v, %v; want a lost answer", did, err)
	}
}

// body is a shorthand for what an API answers.
func body(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
