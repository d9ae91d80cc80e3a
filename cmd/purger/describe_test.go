package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/store"
)

func TestDescribe_RendersNumbersSizesAndCounts(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{number(0), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(1234567), "1,234,567"}, {number(-1234), "-1,234"},
		{plural(1, "tenant"), "1 tenant"}, {plural(0, "tenant"), "0 tenants"}, {plural(2000, "tenant"), "2,000 tenants"},
		{sizeText(1), "1 byte"}, {sizeText(1023), "1,023 bytes"}, {sizeText(1024), "1.0 KiB"}, {sizeText(5 << 30), "5.0 GiB"}, {sizeText(math.MaxInt64), "8192.0 PiB"},
		{countsText(store.Counts{}), "nothing"},
		{countsText(store.Counts{Users: 1, OAuthClients: 2, SubTenants: 3}), "3 sub-tenants, 2 OAuth clients, 1 user"},
		{actorText(store.Actor{ID: "uid:0"}), "uid:0"}, {actorText(store.Actor{ID: "uid:0", Name: "root"}), "uid:0 (root)"},
		{tookText(time.Unix(0, 0), time.Unix(0, 12e6)), "12 ms"}, {tookText(time.Unix(0, 0), time.Unix(61, 0)), "1m1s"},
	} {
		if c.got != c.want {
			t.Errorf("rendered %q; want %q", c.got, c.want)
		}
	}
}

func TestBlockText_HasAWordForEveryReason(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range store.BlockReasons() {
		own := blockText("acme", store.Block{Reason: r, By: "acme"})
		if !strings.HasPrefix(own, "it ") || strings.Contains(own, "blocked:") || seen[own] {
			t.Errorf("%s: %q", r, own)
		}
		seen[own] = true
		end := store.Timestamp{Time: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
		if got, want := blockText("acme", store.Block{Reason: r, By: "acme-eu", Until: end}), "acme-eu "+own[3:]+" until 2027-01-01T00:00:00.000Z"; got != want {
			t.Errorf("%s: %q; want %q", r, got, want)
		}
	}
}

func TestParseWhen_TakesTimesAndDates(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"2026-01-05":                "2026-01-05T00:00:00.000Z",
		"2026-01-05T10:00:00Z":      "2026-01-05T10:00:00.000Z",
		"2026-01-05T10:00:00+02:00": "2026-01-05T08:00:00.000Z",
	} {
		got, err := parseWhen("until", in)
		if err != nil || timeText(got.Time) != want {
			t.Errorf("%q is %q, %v; want %q", in, timeText(got.Time), err, want)
		}
	}
	for _, in := range []string{"2026-02-30", "tomorrow", "2026-01-05 10:00", "1767607200", "0001-01-01", "9999-01-01"} {
		if _, err := parseWhen("until", in); exitCode(err) != exitUsage {
			t.Errorf("%q: %v; want a usage error", in, err)
		}
	}
}
