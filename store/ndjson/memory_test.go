package ndjson

import (
	"context"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// heapPeak runs do and returns the largest heap, in bytes and beyond what was
// there before, that was seen meanwhile.
func heapPeak(do func()) int64 {
	const name = "/memory/classes/heap/objects:bytes"
	read := func() int64 {
		s := []metrics.Sample{{Name: name}}
		metrics.Read(s)
		return int64(s[0].Value.Uint64())
	}
	runtime.GC()
	before := read()
	stop, done := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		peak := before
		for {
			select {
			case <-tick.C:
				peak = max(peak, read())
			case <-stop:
				done <- peak - before
				return
			}
		}
	}()
	do()
	close(stop)
	return <-done
}

// importPeak imports n lines, checks that all are there, and returns the peak.
func importPeak(t *testing.T, n, perTree, limit int64) int64 {
	t.Helper()
	s := openStore(t)
	return heapPeak(func() {
		sum, err := Import(context.Background(), ImportOptions{
			Store: s, Input: newGenerator(n, perTree), TempDir: t.TempDir(), Actor: importer, Now: now, MemoryLimit: limit,
		})
		if err != nil {
			t.Error(err)
		}
		if sum.Lines != n || sum.Tenants.New+sum.Resources.New != n || !sum.Complete {
			t.Errorf("summary %+v of %d lines", sum, n)
		}
	})
}

// TestImport_MemoryDoesNotGrowWithTheInput imports ten times as much in the
// same memory. Ten times the input would be 13 MB.
func TestImport_MemoryDoesNotGrowWithTheInput(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const limit = 1 << 20
	small, large := importPeak(t, 10_000, 1000, limit), importPeak(t, 100_000, 1000, limit)
	t.Logf("peak of the heap: %.1f MiB for 10,000 lines, %.1f MiB for 100,000", mib(small), mib(large))
	if large > 24<<20 || large > small+(8<<20) {
		t.Errorf("%.1f MiB for 100,000 lines, %.1f MiB for 10,000", mib(large), mib(small))
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
