package ndjson

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slowReader takes a while for each part of its input.
type slowReader struct {
	r     io.Reader
	delay time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.delay)
	return s.r.Read(p)
}

func TestMeter_ReportsAtMostEvery200ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Progress
		m := meter{report: func(p Progress) { got = append(got, p) }}
		m.begin(StageWrite, 4*256)
		for i := range 4 * 256 {
			if i%256 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
			if err := m.tick(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		want := []Progress{{StageWrite, 256, 1024}, {StageWrite, 768, 1024}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("reports (-want +got):\n%s", d)
		}
	})
}

func TestImport_ReportsStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t)
		stages := map[string]Progress{}
		var last time.Time
		const n = 20_000
		report := func(p Progress) {
			if since := time.Since(last); since < progressEvery {
				t.Errorf("%+v comes %s after the one before", p, since)
			}
			last, stages[p.Stage] = time.Now(), p
		}
		slow := &slowReader{newGenerator(n, 1000), progressEvery}
		f := &flaky{Store: s, before: func(string) error { time.Sleep(progressEvery); return nil }}
		if _, err := Import(context.Background(), ImportOptions{Store: f, Input: slow, Now: now, Progress: report}); err != nil {
			t.Fatal(err)
		}
		if p := stages[StageRead]; p.Lines < n/2 || p.Lines > n || p.Total != 0 {
			t.Errorf("reading: %+v", p)
		}
		if p := stages[StageWrite]; p.Lines < n/2 || p.Lines > n || p.Total != n {
			t.Errorf("writing: %+v", p)
		}
		time.Sleep(progressEvery)
		if _, err := Export(context.Background(), s, io.Discard, ExportOptions{Progress: report}); err != nil {
			t.Fatal(err)
		}
		if p := stages[StageExport]; p.Stage != StageExport {
			t.Errorf("exporting: %+v", p)
		}
	})
}
