package ndjson

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// model says, the simple way, what an import of drawn lines must come to. The
// store has tenants k1 and below it k2, each with user u, and had p1 with p2.
type model struct {
	parents map[string]string // of the first line of each tenant
	outcome map[string]string // new, unchanged, conflict, skipped, unknown, cycle, lost
}

var (
	keptParents  = map[string]string{"k1": "", "k2": "k1"}
	modelPurged  = map[string]bool{"p1": true, "p2": true}
	modelTenants = []string{"a", "b", "c", "d", "k1", "k2", "p1", "p2"}
)

// of returns what becomes of a tenant of the input.
func (m *model) of(id string) string {
	if o := m.outcome[id]; o != "" {
		return o
	}
	o := m.find(id)
	m.outcome[id] = o
	return o
}

func (m *model) find(id string) string {
	if m.endless(id) {
		if m.onCycle(id) {
			return "cycle"
		}
		return "lost"
	}
	parent := m.parents[id]
	kept, isKept := keptParents[id]
	switch {
	case modelPurged[id]:
		return "skipped"
	case isKept && kept == parent:
		return "unchanged"
	case isKept:
		return "conflict"
	case parent == "":
		return "new"
	}
	if _, ok := m.parents[parent]; !ok {
		_, isKept := keptParents[parent]
		switch {
		case isKept:
			return "new"
		case modelPurged[parent]:
			return "skipped"
		}
		return "unknown"
	}
	switch m.of(parent) {
	case "new", "unchanged", "conflict":
		return "new"
	case "skipped":
		return "skipped"
	}
	return "lost"
}

// endless reports whether the way up from id never ends.
func (m *model) endless(id string) bool {
	for range len(m.parents) + 1 {
		parent, ok := m.parents[id]
		if !ok || parent == "" {
			return false
		}
		id = parent
	}
	return true
}

// onCycle reports whether a walk up from id comes back to it.
func (m *model) onCycle(id string) bool {
	v := m.parents[id]
	for range m.parents {
		if v == id {
			return true
		}
		v = m.parents[v]
	}
	return false
}

// add counts what became of a record.
func (t *Tally) add(outcome string) {
	switch outcome {
	case "new":
		t.New++
	case "unchanged":
		t.Unchanged++
	case "conflict":
		t.Conflict++
	case "skipped":
		t.Skipped++
	}
}

func TestImport_AgreesWithTheModel(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, activeLine("k1", "")+activeLine("k2", "k1")+userLine("k1", "u")+userLine("k2", "u")+disabledLine("p1", "", 10)+activeLine("p2", "p1"))
	purge(t, s, "p1")
	rapid.Check(t, func(t *rapid.T) {
		m := &model{parents: map[string]string{}, outcome: map[string]string{}}
		var lines []string
		var resources [][3]string
		errs := 0
		for range rapid.SampledFrom([]int{0, 1, 2, 4, 8, 16}).Draw(t, "lines") {
			id := rapid.SampledFrom(modelTenants).Draw(t, "id")
			if rapid.Bool().Draw(t, "resource") {
				r := [3]string{rapid.SampledFrom(append(modelTenants, "z")).Draw(t, "tenant"), rapid.SampledFrom([]string{"u", "v"}).Draw(t, "user"), rapid.SampledFrom([]string{"1", "2"}).Draw(t, "n")}
				resources = append(resources, r)
				lines = append(lines, fmt.Sprintf(`{"type":"user","tenantId":%q,"id":%q,"data":{"n":%s}}`, r[0], r[1], r[2]))
				continue
			}
			parent := rapid.SampledFrom(append(modelTenants, "", "", "z")).Draw(t, "parent")
			if parent == id {
				parent = ""
			}
			lines = append(lines, strings.TrimSuffix(activeLine(id, parent), "\n"))
			if _, twice := m.parents[id]; twice {
				errs++
			} else {
				m.parents[id] = parent
			}
		}
		want := Summary{Lines: int64(len(lines))}
		cycles := map[string]bool{}
		for id := range m.parents {
			o := m.of(id)
			want.Tenants.add(o)
			switch o {
			case "unknown":
				errs++
			case "cycle": // once for each, by its smallest id
				least := id
				for v := m.parents[id]; v != id; v = m.parents[v] {
					least = min(least, v)
				}
				cycles[least] = true
			}
		}
		errs += len(cycles)
		seen := map[string]bool{}
		for _, r := range resources {
			key := r[0] + "/" + r[1]
			if seen[key] {
				errs++
				continue
			}
			seen[key] = true
			o := ""
			if _, ok := m.parents[r[0]]; ok {
				o = m.of(r[0])
			} else if _, ok := keptParents[r[0]]; ok {
				o = "unchanged"
			} else if modelPurged[r[0]] {
				o = "skipped"
			} else {
				errs++
			}
			if o == "unchanged" || o == "conflict" {
				switch {
				case r[1] != "u":
					o = "new"
				case r[2] == "1":
					o = "unchanged"
				default:
					o = "conflict"
				}
			}
			want.Resources.add(o)
		}

		sum, err := Import(context.Background(), ImportOptions{
			Store: s, Input: strings.NewReader(strings.Join(lines, "\n")), Now: now, DryRun: true, MemoryLimit: 1,
		})
		got := 0
		code := store.Code("")
		var bad *InvalidInput
		if errors.As(err, &bad) {
			got, code = int(bad.Total), bad.Code
		} else if err != nil {
			t.Fatal(err)
		}
		wantCode, wantErrs := store.Invalid, errs
		if errs == 0 {
			wantErrs = int(want.Tenants.Conflict + want.Resources.Conflict)
			if wantCode = store.Conflict; wantErrs == 0 {
				wantCode = ""
				want.Complete = want.Tenants.New+want.Resources.New == 0
			}
		}
		if got != wantErrs || code != wantCode {
			t.Fatalf("%d errors of code %q, want %d of %q: %v", got, code, wantErrs, wantCode, err)
		}
		if d := cmp.Diff(want, sum); d != "" {
			t.Fatalf("summary (-want +got):\n%s\n%v", d, err)
		}
	})
}
