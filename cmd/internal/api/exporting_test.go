package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// lines are three tenants, one of them disabled, and two resources.

func TestExport_RoundTripIsTheIdentity(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		if _, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		var first, second bytes.Buffer
		sum, err := r.Export(t.Context(), &first)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(client.ExportSummary{Lines: 5, Tenants: 3, Resources: 2}, sum); d != "" {
			t.Errorf("summary (-want +got):\n%s", d)
		}
		other := newRig(t).inProcess(t)
		if _, err := other.Import(t.Context(), bytes.NewReader(first.Bytes()), client.ImportOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Export(t.Context(), &second); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(first.String(), second.String()); d != "" {
			t.Errorf("(-first +second):\n%s", d)
		}
	})
}

func TestExport_OfAnEmptyStoreIsComplete(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		var out bytes.Buffer
		sum, err := r.Export(t.Context(), &out)
		if err != nil || sum != (client.ExportSummary{}) || out.Len() != 0 {
			t.Errorf("%+v, %q, %v", sum, out.String(), err)
		}
	})
}

// exploding is a store whose List fails after some calls.

type exploding struct {
	*boltstore.Store
	after int
}

func (e *exploding) List(ctx context.Context, id string, k store.Kind, after string, limit int) ([]store.Resource, error) {
	if e.after--; e.after < 0 {
		return nil, store.Errorf(store.Internal, "the page is corrupt:\n%s", id)
	}
	return e.Store.List(ctx, id, k, after, limit)
}

func TestExport_AnErrorMidwayReachesTheClient(t *testing.T) {
	for name, many := range map[string]int{"before the first byte": 1, "in the midst": 2_000} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, r *rig) {
				bolt := r.store
				var in strings.Builder
				for i := range many {
					fmt.Fprintf(&in, `{"type":"tenant","id":"t-%04d","parentId":"","name":"%0100d","hostname":"","status":"active","activeSubscriptions":0}`+"\n", i, i)
					fmt.Fprintf(&in, `{"type":"user","tenantId":"t-%04d","id":"u","data":{}}`+"\n", i)
				}
				if _, err := r.Import(t.Context(), strings.NewReader(in.String()), client.ImportOptions{}, nil); err != nil {
					t.Fatal(err)
				}
				r.options.Store.(*exploding).Store = bolt
				r.options.Store.(*exploding).after = many - 1
				var out bytes.Buffer
				_, err := r.Export(t.Context(), &out)
				if store.CodeOf(err) != store.Internal || !strings.Contains(err.Error(), "the page is corrupt:\nt-") {
					t.Errorf("after %d bytes: error %v", out.Len(), err)
				}
				if many > 1 && out.Len() == 0 {
					t.Error("nothing came before the error: the test shows nothing")
				}
			}, func(o *Options) { o.Store = &exploding{Store: o.Store.(*boltstore.Store), after: 1 << 30} })
		})
	}
}

func TestExport_AStreamWithoutItsEndIsAnError(t *testing.T) {
	c := client.Over(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(lines))}, nil
	}))
	_, err := c.Export(t.Context(), io.Discard)
	wantCode(t, err, store.Unavailable)
}

// full is a writer whose disk is full.

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

var errFull = errors.New("no space left on device")
