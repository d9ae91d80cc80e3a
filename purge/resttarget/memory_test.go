//go:build long

package resttarget_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/purge/resttarget"
	"github.com/tenantpurge/purger/store"
)

// TestCount_MemoryIsFlat counts a tenant with a million users and looks at the
// heap early and late.
func TestCount_MemoryIsFlat(t *testing.T) {
	const users, size = 1_000_000, 5_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var early, late uint64
	s := &scripted{answer: func(r *http.Request, _ string) (int, http.Header, string) {
		var at int
		_, _ = fmt.Sscan(r.URL.Query().Get("at"), &at)
		switch at {
		case 10 * size:
			early = heap()
		case users - 10*size:
			late = heap()
		}
		var b strings.Builder
		b.WriteString(`{"items":[`)
		for i := at; i < at+size; i++ {
			if i > at {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"id":"user-%07d","org":"acme"}`, i)
		}
		b.WriteString(`],"next":`)
		if at+size < users {
			fmt.Fprintf(&b, `"%d"`, at+size)
		} else {
			b.WriteString("null")
		}
		b.WriteString(`}`)
		return 200, nil, b.String()
	}}
	target, _ := scriptedTarget(t, resttarget.Kind{List: &resttarget.List{Call: resttarget.Call{URL: "/users?t={tenant}"}, Items: "items", ID: "id", Owner: "org",
		Paging: resttarget.Paging{Type: "cursor", Param: "at", Next: "next", Size: size}}, Delete: deleteUser()}, s)
	n, err := target.Count(context.Background(), "acme", store.KindUser)
	if err != nil || n != users {
		t.Errorf("Count = %d, %v", n, err)
	}
	if early == 0 || late > early+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
}
