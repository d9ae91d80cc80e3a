package httpcall_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tenantpurge/purger/purge/httpcall"
)

// BenchmarkDo compares a delete with one by a client that is nothing but
// [http.Client], 64 at a time, against a server that answers at once.
func BenchmarkDo(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer srv.Close()
	b.Run("bare", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		defer client.CloseIdleConnections()
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodDelete, srv.URL+"/users/user-1", http.NoBody)
				if err != nil {
					b.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	})
	b.Run("httpcall", func(b *testing.B) {
		client, err := httpcall.New(httpcall.Config{BaseURL: srv.URL}, httpcall.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.Do(b.Context(), httpcall.Request{Method: http.MethodDelete, URL: "/users/user-1"}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
