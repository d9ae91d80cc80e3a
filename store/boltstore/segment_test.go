package boltstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// Resources that arrive in any order fill and split segments; what is read back
// is in order and complete.
func TestSegments_ListIsOrderedAndCompleteAcrossSplits(t *testing.T) {
	f := newFixture(t)
	f.create("big", "")
	f.create("sub", "big")
	const n = 2*segmentRows/4 + 1000
	f.fill("big", n)
	f.fill("sub", 500)
	f.must(f.Remove(t.Context(), "big", store.KindUser, "secret-000007"))
	f.must(f.Remove(t.Context(), "big", store.KindUser, "secret-000007")) // again: nothing to do
	c, err := f.Count(t.Context(), "big")
	f.must(err)
	if want := int64(4*n - 1); c.Resources() != want || c.Users != n-1 {
		t.Fatalf("counted %+v, want %d resources", c, want)
	}
	for _, k := range store.Kinds() {
		var ids []string
		for after := ""; ; after = ids[len(ids)-1] {
			page, err := f.List(t.Context(), "big", k, after, 777)
			f.must(err)
			for _, r := range page {
				ids = append(ids, r.ID)
			}
			if len(page) < 777 {
				break
			}
		}
		if int64(len(ids)) != c.Of(k) || !slices.IsSorted(ids) {
			t.Errorf("%s: listed %d, counted %d, sorted %v", k, len(ids), c.Of(k), slices.IsSorted(ids))
		}
	}
	f.must(f.db.View(func(tx *bolt.Tx) error {
		_, r, err := find(tx, "big")
		f.must(err)
		tr, err := openTree(tx, 0)
		f.must(err)
		segs, err := tr.segments()
		if len(segs) < 3 || r.depth != 0 {
			t.Errorf("%d segments: nothing was split", len(segs))
		}
		return err
	}))
}

// The sum over the rolling day is kept, not added up for each claim; it must be
// what adding up would give, whatever the clock does.
func TestWindow_SumIsThatOfANaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &window{}
		naive := map[uint64]int64{}
		now := epoch
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(6*time.Hour), int64(12*time.Hour)).Draw(t, "jump")))
			if rapid.Bool().Draw(t, "add") {
				n := rapid.Int64Range(1, 50).Draw(t, "n")
				w.add(millis(now), uint64(n))
				naive[millis(now)] += n
			}
			if len(w.entries) > 0 && rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
				delete(naive, w.entries[0].at)
				w.drop(1)
			}
			var want int64
			for at, n := range naive {
				if at > millis(now.Add(-day)) {
					want += n
				}
			}
			if got := w.sum(now); got != want {
				t.Fatalf("sum at %v is %d, want %d", now, got, want)
			}
		}
	})
}

func TestResourceKey_OrderIsThatOfRemoval(t *testing.T) {
	keys := [][]byte{
		resourceKey(store.KindOAuthClient, 2, 9, "z"),
		resourceKey(store.KindOAuthClient, 1, 1, "a"),
		resourceKey(store.KindOAuthClient, 1, 2, "a"),
		resourceKey(store.KindOAuthClient, 0, 0, "a"),
		resourceKey(store.KindAPIKey, store.MaxDepth, 3, "a"),
		resourceKey(store.KindCredential, 0, 0, "a"),
		resourceKey(store.KindUser, 0, 0, "a"),
		resourceKey(store.KindUser, 0, 0, "a-1"),
	}
	for i := range keys[1:] {
		if slices.Compare(keys[i], keys[i+1]) >= 0 {
			t.Errorf("key %d does not come before key %d", i, i+1)
		}
	}
	for i, k := range keys {
		if kind, ord, id, ok := splitResourceKey(k); !ok || fmt.Sprint(kind, ord, string(id)) == "" {
			t.Errorf("key %d does not split", i)
		}
	}
	if got := keyAfter([]byte{1, 0xff, 0xff}); !slices.Equal(got, []byte{2}) {
		t.Errorf("keyAfter: %v", got)
	}
}
