package ndjson

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// object draws a JSON object with its members in a drawn order and with white
// space, encoded by nothing of this package.
func object(t *rapid.T, members map[string]any) string {
	names := make([]string, 0, len(members))
	for n := range members {
		names = append(names, n)
	}
	slices.Sort(names)
	space := rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "space")
	var parts []string
	for _, n := range rapid.Permutation(names).Draw(t, "order") {
		v, err := json.Marshal(members[n])
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, fmt.Sprintf("%q:%s%s", n, space, v))
	}
	return "{" + strings.Join(parts, ","+space) + "}"
}

var (
	anyText   = rapid.StringMatching(`[ -~äöü€😀]{0,12}`)
	anyID     = rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._:-]{0,6}`)
	anyMillis = rapid.Int64Range(1_500_000_000_000, now.UnixMilli())
	anyData   = rapid.SampledFrom([]json.RawMessage{
		[]byte(`{}`), []byte(`{"z":1.0e2,"a":[{},[],null,true]}`), []byte(`{"\u0000":"\ud800","":-0}`), []byte(`{"ä":"<&>","z":1,"z":2}`),
	})
)

func anyTime(t *rapid.T, name string) string {
	return time.UnixMilli(anyMillis.Draw(t, name)).UTC().Format(store.TimeFormat)
}

func anyActor(t *rapid.T) map[string]any {
	return map[string]any{"id": anyID.Draw(t, "actor"), "name": anyText.Draw(t, "actor name")}
}

// anyInput draws the lines of a sound input, parents first.
func anyInput(t *rapid.T) []string {
	var lines []string
	ids := rapid.SliceOfNDistinct(anyID, rapid.SampledFrom([]int{0, 1, 4, 12}).Draw(t, "tenants"), 12, rapid.ID[string]).Draw(t, "ids")
	for i, id := range ids {
		m := map[string]any{"type": "tenant", "id": id, "status": "active", "name": anyText.Draw(t, "name")}
		if p := rapid.IntRange(-1, i-1).Draw(t, "parent"); p >= 0 {
			m["parentId"] = ids[p]
		}
		if rapid.Bool().Draw(t, "created") {
			m["createdAt"] = anyTime(t, "created")
		}
		if rapid.Bool().Draw(t, "disabled") {
			m["status"], m["disabledAt"] = "disabled", anyTime(t, "disabled")
			m["purgeAfterDays"] = rapid.IntRange(10, 90).Draw(t, "days")
			if rapid.Bool().Draw(t, "by") {
				m["disabledBy"] = anyActor(t)
			}
		} else if rapid.Bool().Draw(t, "reactivated") {
			m["reactivatedAt"] = anyTime(t, "reactivated")
		}
		switch rapid.IntRange(0, 3).Draw(t, "hold") {
		case 0:
			m["hold"] = nil
		case 1:
			m["hold"] = map[string]any{"reason": "r" + anyText.Draw(t, "reason")}
		case 2:
			m["hold"] = map[string]any{
				"reason": "r", "until": anyTime(t, "until"), "since": anyTime(t, "since"), "actor": anyActor(t),
			}
		}
		if n := rapid.IntRange(0, 2).Draw(t, "subscriptions"); n > 0 {
			m["activeSubscriptions"] = n
		}
		lines = append(lines, object(t, m))
		for _, k := range store.Kinds() {
			for _, r := range rapid.SliceOfNDistinct(anyID, 0, 3, rapid.ID[string]).Draw(t, "resources") {
				m := map[string]any{"type": string(k), "tenantId": id, "id": r}
				if d := anyData.Draw(t, "data"); len(d) > 2 {
					m["data"] = d
				}
				lines = append(lines, object(t, m))
			}
		}
	}
	return lines
}

// TestRoundTrip_IsTheIdentity imports drawn lines in a drawn order, exports
// them, imports that in another order into another store and exports again:
// every byte is the same.
func TestRoundTrip_IsTheIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := anyInput(t)
		first := ""
		for round := range 2 {
			dir, err := os.MkdirTemp("", "ndjson-*")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			s := openStoreIn(t, dir)
			text := strings.Join(rapid.Permutation(lines).Draw(t, "lines"), "\n")
			// A clock of its own: what an import fills in must be in the export.
			o := ImportOptions{Store: s, Input: strings.NewReader(text), Now: now.Add(time.Duration(round) * time.Hour), MemoryLimit: 1}
			sum, err := Import(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := sum.Tenants.New + sum.Resources.New; got != int64(len(lines)) || !sum.Complete {
				t.Fatalf("%d lines, summary %+v", len(lines), sum)
			}
			var b bytes.Buffer
			if sum, err = Export(context.Background(), s, &b, ExportOptions{MemoryLimit: 1}); err != nil || sum.Lines != int64(len(lines)) {
				t.Fatalf("export: %+v, %v", sum, err)
			}
			if round == 0 {
				first = b.String()
			} else if b.String() != first {
				t.Fatalf("round %d:\n%s\nwant\n%s", round, b.String(), first)
			}
			if lines = nil; first != "" {
				lines = strings.Split(strings.TrimSuffix(first, "\n"), "\n")
			}
		}
	})
}
