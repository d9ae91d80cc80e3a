package ndjson

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// order reduces an export to "type id" or "type tenant/id" of each line.
func order(text string) []string {
	var list []string
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Split(l, `"`)
		if f[3] == "tenant" {
			list = append(list, "tenant "+f[7])
		} else {
			list = append(list, f[3]+" "+f[7]+"/"+f[11])
		}
	}
	return list
}

func TestExport_Order(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, activeLine("b", "")+activeLine("a", "")+activeLine("z", "a")+activeLine("0", "z")+activeLine("y", "a")+activeLine("c", "b")+
		userLine("a", "2")+userLine("a", "1")+`{"type":"oauthClient","tenantId":"a","id":"9"}`+"\n"+
		`{"type":"credential","tenantId":"z","id":"5"}`+"\n"+`{"type":"apiKey","tenantId":"z","id":"6"}`+"\n"+userLine("b", "1"))
	want := []string{
		"tenant a", "oauthClient a/9", "user a/1", "user a/2",
		"tenant y", "tenant z", "apiKey z/6", "credential z/5", "tenant 0",
		"tenant b", "user b/1", "tenant c",
	}
	if d := cmp.Diff(want, order(exportText(t, s))); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

func TestExport_CountsAndSkipsWhatIsBeingPurged(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	claim(t, s, "child")
	var b bytes.Buffer
	sum, err := Export(context.Background(), s, &b, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{Lines: 4, Tenants: Tally{New: 2, Skipped: 2}, Resources: Tally{New: 2}, Complete: true}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"tenant other", "tenant root-1", "user root-1/u-1", "user root-1/u-2"}, order(b.String())); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	mustImport(t, openStore(t), b.String()) // what remains is sound by itself
}

func TestExport_Pages(t *testing.T) {
	s := openStore(t)
	const tenants, users = store.MaxPage + 1, 2*exportPage + 1
	var b strings.Builder
	for i := range tenants {
		b.WriteString(activeLine(fmt.Sprintf("t-%04d", i), ""))
	}
	for i := range users {
		b.WriteString(userLine("t-0500", fmt.Sprintf("u-%04d", i)))
	}
	mustImport(t, s, b.String())
	for _, limit := range []int64{0, 1} {
		var out bytes.Buffer
		sum, err := Export(context.Background(), s, &out, ExportOptions{TempDir: t.TempDir(), MemoryLimit: limit})
		if err != nil || sum.Tenants.New != tenants || sum.Resources.New != users || sum.Lines != tenants+users {
			t.Errorf("summary %+v, %v", sum, err)
		}
		if n := int64(strings.Count(out.String(), "\n")); n != sum.Lines {
			t.Errorf("%d lines", n)
		}
	}
}

// vanishing is a store that changes once it has told its tenants.
type vanishing struct {
	*boltstore.Store
	then func()
}

func (v *vanishing) Tenant(ctx context.Context, id string) (store.Tenant, error) {
	if v.then != nil {
		v.then()
		v.then = nil
	}
	return v.Store.Tenant(ctx, id)
}

func TestExport_LeavesOutWhatGoesMeanwhile(t *testing.T) {
	for name, then := range map[string]func(t testing.TB, s store.Store, id string){"purged": purge, "claimed": claim} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t)
			mustImport(t, s, sample())
			var b bytes.Buffer
			v := &vanishing{s, func() { then(t, s, "child") }}
			sum, err := Export(context.Background(), v, &b, ExportOptions{})
			if err != nil || sum.Tenants.Skipped != 2 {
				t.Fatalf("%+v, %v", sum, err)
			}
			if d := cmp.Diff([]string{"tenant other", "tenant root-1", "user root-1/u-1", "user root-1/u-2"}, order(b.String())); d != "" {
				t.Errorf("order (-want +got):\n%s", d)
			}
		})
	}
}

// listed is a store of these tenants, in the order of their ids.
type listed []store.Tenant

func (l listed) Tenants(_ context.Context, f store.Filter) ([]store.Tenant, error) {
	i := 0
	for i < len(l) && l[i].ID <= f.After {
		i++
	}
	return l[i:min(i+2, len(l))], nil
}

func (l listed) Tenant(_ context.Context, id string) (store.Tenant, error) {
	for _, t := range l {
		if t.ID == id {
			return t, nil
		}
	}
	return store.Tenant{}, store.Errorf(store.NotFound, "tenant %q is not known", id)
}

func (l listed) List(context.Context, string, store.Kind, string, int) ([]store.Resource, error) {
	return nil, nil
}

// TestExport_LeavesOutWhatHasNoParent: a tenant whose parent is not exported
// could not be imported, whatever its own state.
func TestExport_LeavesOutWhatHasNoParent(t *testing.T) {
	active := store.StatusActive
	s := listed{
		{ID: "a", Status: active}, {ID: "b", ParentID: "unseen", Status: active}, {ID: "c", ParentID: "b", Status: active},
		{ID: "d", Status: store.StatusFailed}, {ID: "e", ParentID: "d", Status: active}, {ID: "f", ParentID: "a", Status: active},
	}
	var b bytes.Buffer
	sum, err := Export(context.Background(), s, &b, ExportOptions{})
	if err != nil || sum.Tenants != (Tally{New: 2, Skipped: 4}) {
		t.Errorf("%+v, %v", sum, err)
	}
	if d := cmp.Diff([]string{"tenant a", "tenant f"}, order(b.String())); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

func TestExport_EmptyStoreIsAnEmptyExport(t *testing.T) {
	if got := exportText(t, openStore(t)); got != "" {
		t.Errorf("exported %q", got)
	}
}

// brokenWriter fails at once.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errInjected }

func TestExport_TellsErrors(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	if sum, err := Export(context.Background(), s, brokenWriter{}, ExportOptions{}); !errors.Is(err, errInjected) || sum.Complete {
		t.Errorf("broken writer: %+v, %v", sum, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sum, err := Export(ctx, s, &bytes.Buffer{}, ExportOptions{}); !errors.Is(err, context.Canceled) || sum.Complete {
		t.Errorf("ended context: %+v, %v", sum, err)
	}
	// A store that takes what cannot be a line of JSON is told so, not copied.
	if _, err := Export(context.Background(), badData{s}, &bytes.Buffer{}, ExportOptions{}); store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "is not UTF-8") {
		t.Errorf("data that is not UTF-8: %v", err)
	}
}

// badData is a store that holds data that no import lets in.
type badData struct{ *boltstore.Store }

func (b badData) List(ctx context.Context, tenantID string, kind store.Kind, after string, limit int) ([]store.Resource, error) {
	list, err := b.Store.List(ctx, tenantID, kind, after, limit)
	for i := range list {
		list[i].Data = []byte("{\"a\":\"\xff\"}")
	}
	return list, err
}
