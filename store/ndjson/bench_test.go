package ndjson

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/tenantpurge/purger/store"
)

func BenchmarkDecode(b *testing.B) {
	d := &decoder{grace: store.DefaultGrace(), now: now}
	text, err := io.ReadAll(newGenerator(1000, 100))
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	b.SetBytes(int64(len(text) / len(lines)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if errs := d.line(lines[i%len(lines)]); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

func benchmarkImport(b *testing.B, dry bool) {
	const n = 200_000
	b.ReportAllocs()
	for b.Loop() {
		s := openStore(b)
		if _, err := Import(context.Background(), ImportOptions{Store: s, Input: newGenerator(n, 1000), TempDir: b.TempDir(), Now: now, DryRun: dry}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkImport_Validate(b *testing.B) { benchmarkImport(b, true) }

func BenchmarkImport_Write(b *testing.B) { benchmarkImport(b, false) }

func BenchmarkExport(b *testing.B) {
	const n = 100_000
	s := openStore(b)
	if _, err := Import(context.Background(), ImportOptions{Store: s, Input: newGenerator(n, 1000), Now: now}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Export(context.Background(), s, io.Discard, ExportOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
