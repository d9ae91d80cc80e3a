package boltstore

import (
	"context"
	"testing"
)

// bench is a store for benchmarks; it is not checked.
//
// What can be measured from outside the package is in deploy/bench.
func bench(b *testing.B, dir string) *Store {
	b.Helper()
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}
