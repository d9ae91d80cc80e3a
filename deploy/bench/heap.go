package main

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// heapPeak runs do and returns the largest heap, in bytes, that was seen
// meanwhile: all objects, those that the collector has yet to find dead
// included; and of it the largest that a collection found live.
func heapPeak(do func() error) (peak, live uint64, err error) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	look := func() {
		metrics.Read(samples)
		peak = max(peak, samples[0].Value.Uint64())
		live = max(live, samples[1].Value.Uint64())
	}
	runtime.GC()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				look()
			case <-stop:
				return
			}
		}
	}()
	err = do()
	close(stop)
	<-done
	look()
	return peak, live, err
}

// mib returns bytes in MiB.
func mib(n uint64) float64 { return float64(n) / (1 << 20) }
