package purge

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

func TestSpool_SortsMoreThanFitsTheMemoryAndLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	s, err := newSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("files %v, %v", files, err)
	}
	const n = 40_000
	name := fmt.Sprintf("%01000d", 7)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		if err := s.add(&spooled{row: int64(i), t: SourceTenant{ID: fmt.Sprintf("t%06d", i/2), Name: &name}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		i := 0
		if err := s.each(func(r *spooled) error {
			if want := fmt.Sprintf("t%06d", i/2); r.t.ID != want || int(r.row/2) != i/2 || *r.t.Name != name {
				return fmt.Errorf("record %d is %q, row %d", i, r.t.ID, r.row)
			}
			i++
			return nil
		}); err != nil || i != n {
			t.Fatalf("%d records, %v", i, err)
		}
	}
	if len(s.runs) < 2 || cap(s.buf) > 2*spoolRun {
		t.Errorf("%d runs: too few for this test", len(s.runs))
	}
	stop := errors.New("stop")
	if err := s.each(func(*spooled) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("each: %v", err)
	}
}

func TestSpool_KeepsRecordsAsTheyAreAndInTheirOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringN(0, 20, 40)
		moment := rapid.Custom(func(rt *rapid.T) time.Time {
			if rapid.Bool().Draw(rt, "zero") {
				return time.Time{}
			}
			return time.UnixMilli(rapid.Int64Range(-1e13, 1e13).Draw(rt, "ms")).UTC()
		})
		maybe := rapid.Custom(func(rt *rapid.T) *string {
			if rapid.Bool().Draw(rt, "nil") {
				return nil
			}
			s := text.Draw(rt, "text")
			return &s
		})
		var want []*spooled
		s, err := newSpool(os.TempDir())
		if err != nil {
			rt.Fatal(err)
		}
		defer s.close()
		for range rapid.IntRange(0, 20).Draw(rt, "n") {
			r := &spooled{
				row: rapid.Int64().Draw(rt, "row"), step: syncStep(rapid.Byte().Draw(rt, "step")), danger: rapid.Bool().Draw(rt, "danger"),
				bad: text.Draw(rt, "bad"),
				t: SourceTenant{ID: rapid.StringMatching("[ab]{0,2}").Draw(rt, "id"), ParentID: text.Draw(rt, "parent"), Name: maybe.Draw(rt, "name"),
					Hostname: maybe.Draw(rt, "host"), Status: store.Status(text.Draw(rt, "status")), DisabledAt: moment.Draw(rt, "at"),
					PurgeAt: moment.Draw(rt, "until"), PurgeAfterDays: rapid.Int().Draw(rt, "days")},
			}
			want = append(want, r)
			if err := s.add(r); err != nil {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(rt, "flush") == 0 {
				if err := s.flush(); err != nil {
					rt.Fatal(err)
				}
			}
		}
		slices.SortStableFunc(want, func(a, b *spooled) int { return cmp.Compare(a.t.ID, b.t.ID) })
		i := 0
		if err := s.each(func(r *spooled) error {
			w := want[i]
			if r.row != w.row || r.step != w.step || r.danger != w.danger || r.bad != w.bad || !sameRow(&r.t, &w.t) || r.t.ID != w.t.ID {
				return fmt.Errorf("record %d is %+v; want %+v", i, r, w)
			}
			i++
			return nil
		}); err != nil || i != len(want) {
			rt.Fatalf("%d of %d, %v", i, len(want), err)
		}
	})
}

func TestSpool_RefusesWhatIsTooLargeAndADirectoryThatIsNotThere(t *testing.T) {
	if _, err := newSpool(t.TempDir() + "/none"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("newSpool: %v", err)
	}
	s, err := newSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.add(&spooled{bad: string(make([]byte, spoolRecord))}); store.CodeOf(err) != store.Internal {
		t.Errorf("add: %v", err)
	}
}
