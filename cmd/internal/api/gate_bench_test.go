package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantpurge/purger/metrics"
	"github.com/tenantpurge/purger/store"
)

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header              { return d.header }
func (d *discard) Write(p []byte) (int, error)      { return len(p), nil }
func (d *discard) WriteHeader(int)                  {}
func (d *discard) SetWriteDeadline(time.Time) error { return nil }

// keeper answers at once.
type keeper struct{ store.Gatekeeper }

func (keeper) Access(string) (store.Access, error) {
	return store.Access{Known: true, Allowed: true, Status: store.StatusActive}, nil
}

func (keeper) AccessByHost(string) (store.Access, error) {
	return store.Access{Known: true, Status: store.StatusDisabled}, nil
}

// BenchmarkGate is what the gate adds to an answer of the HTTP server, which
// takes about 15 us of processor time.
func BenchmarkGate(b *testing.B) {
	g := NewGate(GateOptions{
		Keeper: keeper{}, Policy: func() GatePolicy { return GatePolicy{Anonymous: AnonymousLoopback} },
		Metrics: metrics.New(prometheus.NewRegistry(), metrics.Build{}),
	})
	for name, header := range map[string]string{"allowed": headerTenantID, "refused": headerForwardedHost} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, GatePath, http.NoBody)
				if err != nil {
					b.Error(err)
					return
				}
				r.RemoteAddr = "127.0.0.1:50000"
				r.Header.Set(header, "tenant-1.example.com")
				w := &discard{http.Header{}}
				for pb.Next() {
					g.ServeHTTP(w, r)
				}
			})
		})
	}
}
