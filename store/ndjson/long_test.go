//go:build long

package ndjson

import (
	"testing"
	"time"
)

// TestImport_TenMillionLines takes some minutes and 6 GB of disk:
//
//	go test -tags long -run TenMillion -timeout 30m -v ./store/ndjson
func TestImport_TenMillionLines(t *testing.T) {
	for name, perTree := range map[string]int64{"most are resources": 1000, "all are tenants": 6} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			peak := importPeak(t, 10_000_000/perTree*perTree, perTree, 0) // whole trees
			t.Logf("%s, peak of the heap %.1f MiB", time.Since(start).Round(time.Second), mib(peak))
			bound := int64(64 << 20)
			if perTree == 6 {
				bound += 10_000_000 * 11 * 2 // see ImportOptions.MemoryLimit; and what is not collected yet
			}
			if peak > bound {
				t.Errorf("peak of the heap %.1f MiB, want at most %.1f", mib(peak), mib(bound))
			}
		})
	}
}
