package ndjson

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// closeSorter closes a sorter at the end of a test.
func closeSorter(t interface{ Error(args ...any) }, s *sorter) {
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

type pair struct{ key, value string }

// readAll makes one pass.
func readAll(s *sorter) ([]pair, error) {
	it, err := s.sorted()
	if err != nil {
		return nil, err
	}
	var got []pair
	for it.next() {
		got = append(got, pair{string(it.key), string(it.value)})
	}
	if it.next() {
		return nil, fmt.Errorf("a record after the end")
	}
	return got, it.err
}

func TestSorter_SortsAnyRecordsInAnyMemory(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int64{1, 6 << 10, 20 << 10, 1 << 20}).Draw(t, "limit")
		n := rapid.SampledFrom([]int{0, 1, 2, 100, 1000}).Draw(t, "records")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		s := newSorter(dir, limit)
		defer closeSorter(t, s)
		var want []pair
		seen := map[string]bool{}
		for range n {
			k, v := make([]byte, r.IntN(20)), make([]byte, r.IntN(300))
			for i := range k {
				k[i] = byte(r.IntN(3)) // many common prefixes
			}
			if seen[string(k)] {
				continue
			}
			seen[string(k)] = true
			for i := range v {
				v[i] = byte(r.Uint32())
			}
			if err := s.add(k, v); err != nil {
				t.Fatal(err)
			}
			want = append(want, pair{string(k), string(v)})
		}
		slices.SortFunc(want, func(a, b pair) int { return strings.Compare(a.key, b.key) })
		for range 2 { // it can be read again
			got, err := readAll(s)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

// TestSorter_ManyRuns needs several rounds of merging.
func TestSorter_ManyRuns(t *testing.T) {
	s := newSorter(t.TempDir(), 1) // two runs at a time
	defer closeSorter(t, s)
	const n = 20_000
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	for _, i := range order {
		key := binary.BigEndian.AppendUint32([]byte("common prefix "), uint32(i))
		if err := s.add(key, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.runs) < 100 {
		t.Fatalf("%d runs", len(s.runs))
	}
	held := 0
	for _, c := range s.chunks {
		held += cap(c)
	}
	if held > s.limit+s.chunkSize() {
		t.Errorf("%d bytes of memory are held, want at most %d", held, s.limit+s.chunkSize())
	}
	it, err := s.sorted()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.runs) > s.fanIn() {
		t.Errorf("%d runs are merged at a time, want at most %d", len(s.runs), s.fanIn())
	}
	for i := range n {
		if !it.next() || string(it.value) != fmt.Sprint(i) {
			t.Fatalf("record %d is %q, %v", i, it.value, it.err)
		}
	}
	if it.next() || it.err != nil {
		t.Errorf("after the last: %q, %v", it.value, it.err)
	}
}

func TestSorter_RecordLargerThanItsMemory(t *testing.T) {
	s := newSorter(t.TempDir(), 1)
	defer closeSorter(t, s)
	large := strings.Repeat("x", 100<<10)
	want := []pair{{"a", large}, {"b", "small"}, {"c", large}, {"d", ""}}
	for _, i := range []int{2, 1, 3, 0} {
		if err := s.add([]byte(want[i].key), []byte(want[i].value)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readAll(s)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %.60q, %v", got, err)
	}
	for _, c := range s.chunks {
		if cap(c) > s.chunkSize() {
			t.Errorf("a chunk of %d bytes is kept", cap(c))
		}
	}
}

func TestSorter_TellsADamagedFile(t *testing.T) {
	for name, damage := range map[string]func(s *sorter) error{
		"unexpected EOF": func(s *sorter) error { return s.file.Truncate(s.size - 1) },
		"damaged": func(s *sorter) error {
			_, err := s.file.WriteAt([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}, s.runs[0].off)
			return err
		},
	} {
		s := newSorter(t.TempDir(), 1)
		t.Cleanup(func() { closeSorter(t, s) })
		for i := range 1000 {
			if err := s.add(fmt.Appendf(nil, "%04d", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.seal(); err != nil {
			t.Fatal(err)
		}
		if err := damage(s); err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(s); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error is %v, want %s", err, name)
		}
	}
}

func BenchmarkSorter(b *testing.B) {
	const n = 100_000
	value := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		s := newSorter(b.TempDir(), 1<<20)
		r := rand.New(rand.NewPCG(1, 2))
		for range n {
			if err := s.add(fmt.Appendf(nil, "tenant-%d-%d", r.Uint32(), r.Uint32()), value); err != nil {
				b.Fatal(err)
			}
		}
		it, err := s.sorted()
		if err != nil {
			b.Fatal(err)
		}
		for it.next() {
			if _, err := io.Discard.Write(it.value); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
