package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// row is a purge under way.
func row(tenant string, done, left int64, rate float64) client.TargetProgress {
	p := client.TargetProgress{TenantID: tenant, Target: "crm", Done: done, Remaining: &left, Rate: rate}
	if left < 0 {
		p.Remaining = nil
	}
	return p
}

func TestWatchedPass_TellsDoneRemainingRateAndETA(t *testing.T) {
	w := &watchedPass{}
	for i, c := range []struct {
		want     string
		progress []client.TargetProgress
	}{
		{"3 tenants due", nil},
		{"[----------] 0 % 0 removed, 400 left", []client.TargetProgress{row("a", 0, 400, 0)}},
		{"[##--------] 25 % 100 removed, 300 left, 50/s, 6s to go", []client.TargetProgress{row("a", 100, 300, 50)}},
		{"[###-------] 33 % 400 removed, 800 left, 20/s, 42s to go", []client.TargetProgress{row("a", 300, 100, 10), row("b", 100, 700, 9.5)}},
		{"300 removed, 3.0/s", []client.TargetProgress{row("a", 200, 200, 3), row("b", 100, -1, 0)}},
		// What is through counts as it was last seen.
		{"[########--] 85 % 1,200 removed, 200 left, 0.0/s, more than 100h to go", []client.TargetProgress{row("b", 1000, 200, 0.0001)}},
		{"[##########] 100 % 1,400 removed, 0 left, 100/s", []client.TargetProgress{row("b", 1200, 0, 100)}},
		{"[##########] 100 % 1,400 removed, 0 left", nil},
	} {
		s := client.Status{Progress: c.progress}
		s.Stats.Due = 3
		if got := w.text(s); got != c.want {
			t.Errorf("%d: %q; want %q", i, got, c.want)
		}
	}
	full := (&watchedPass{}).text(client.Status{Progress: []client.TargetProgress{row("a", 9_999_999, 9_999_999, 30)}})
	if len(full) >= 80 {
		t.Errorf("%d columns: %s", len(full), full)
	}
}

func TestWatchPass_LooksOnceASecondAndLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		looks := 0
		status := func(context.Context) (client.Status, error) {
			if looks++; looks == 2 {
				return client.Status{}, errors.New("busy")
			}
			return client.Status{Progress: []client.TargetProgress{row("a", int64(looks), 1, 1)}}, nil
		}
		done := watchPass(t.Context(), status, &progress{w: &b})
		time.Sleep(3500 * time.Millisecond)
		done()
		const line = "\r\x1b[K"
		want := line + "[#####-----] 50 % 1 removed, 1 left, 1.0/s, 1s to go" + line + "[#######---] 75 % 3 removed, 1 left, 1.0/s, 1s to go" + line
		if looks != 3 || b.String() != want {
			t.Errorf("%d looks, %q; want %q", looks, b.String(), want)
		}
		time.Sleep(time.Minute)
		if looks != 3 {
			t.Error("it looks after the end")
		}
	})
}

func TestWatchPass_WithoutATerminalNobodyIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		done := watchPass(t.Context(), func(context.Context) (client.Status, error) {
			t.Error("asked")
			return client.Status{}, nil
		}, (&app{stderr: &b}).newProgress())
		time.Sleep(5 * time.Second)
		done()
		if b.Len() > 0 {
			t.Errorf("wrote %q", b.String())
		}
	})
}
