package ndjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// sample is a small input, children first.
func sample() string {
	return userLine("root-1", "u-2") + userLine("child", "u-1") + activeLine("grandchild", "child") +
		disabledLine("child", "root-1", 40) + userLine("root-1", "u-1") + disabledLine("root-1", "", 30) + activeLine("other", "")
}

func TestImport_AgainWritesNothing(t *testing.T) {
	s := openStore(t)
	want := Summary{Lines: 7, Tenants: Tally{New: 4}, Resources: Tally{New: 3}, Complete: true}
	if d := cmp.Diff(want, mustImport(t, s, sample())); d != "" {
		t.Errorf("first (-want +got):\n%s", d)
	}
	before := auditHead(t, s)
	want.Tenants, want.Resources = Tally{Unchanged: 4}, Tally{Unchanged: 3}
	if d := cmp.Diff(want, mustImport(t, s, sample())); d != "" {
		t.Errorf("again (-want +got):\n%s", d)
	}
	if after := auditHead(t, s); after != before {
		t.Errorf("%d audit entries by an import without anything new", after-before)
	}
}

func TestImport_WritesOnlyWhatIsNew(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	f := &flaky{Store: s}
	// To a tenant of the store, to one of the input, and to one of both.
	sum := mustImport(t, f, sample()+activeLine("new", "grandchild")+userLine("new", "u")+userLine("other", "u-9")+userLine("root-1", "u-9"))
	want := Summary{Lines: 11, Tenants: Tally{New: 1, Unchanged: 4}, Resources: Tally{New: 3, Unchanged: 3}, Complete: true}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"begin", "batch", "end"}, f.calls); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	// Relatives that are in the store alone.
	sum = mustImport(t, s, activeLine("newer", "new")+userLine("grandchild", "u"))
	want = Summary{Lines: 2, Tenants: Tally{New: 1}, Resources: Tally{New: 1}, Complete: true}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
}

func TestImport_DryRunWritesNothing(t *testing.T) {
	s := openStore(t)
	dry := func(o *ImportOptions) { o.DryRun = true }
	want := Summary{Lines: 7, Tenants: Tally{New: 4}, Resources: Tally{New: 3}}
	if d := cmp.Diff(want, mustImport(t, s, sample(), dry)); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if n := auditHead(t, s); n != 0 {
		t.Errorf("%d audit entries by a dry run", n)
	}
	mustImport(t, s, sample())
	if sum := mustImport(t, s, sample(), dry); !sum.Complete {
		t.Errorf("a dry run with nothing to do: %+v", sum)
	}
}

func TestImport_RefusedInputWritesNothing(t *testing.T) {
	s := openStore(t)
	f := &flaky{Store: s}
	for _, bad := range []string{userLine("nobody", "u"), activeLine("x", "nobody"), activeLine("other", ""), "{}"} {
		if _, err := importText(f, sample()+bad); store.CodeOf(err) != store.Invalid {
			t.Errorf("%s: error is %v", bad, err)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("calls %v", f.calls)
	}
}

func TestImport_ConflictsRefuseEverything(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	before := auditHead(t, s)
	held := strings.Replace(disabledLine("root-1", "", 30), `"status"`, `"hold":{"reason":"x"},"status"`, 1)
	changed := activeLine("new", "") + held + activeLine("child", "other") +
		strings.Replace(userLine("root-1", "u-1"), `"n":1`, `"n":2`, 1) + userLine("root-1", "u-2")
	sum, err := importText(s, changed)
	wantErrors(t, err, store.Conflict,
		`line 2: "root-1": differs from the tenant that is kept in hold`,
		`line 3: "child": differs from the tenant that is kept in parentId, name, status, disabledAt, purgeAfterDays`,
		`line 4: "u-1": data differs from that of the user of tenant "root-1" that is kept`)
	want := Summary{Lines: 5, Tenants: Tally{New: 1, Conflict: 2}, Resources: Tally{Unchanged: 1, Conflict: 1}}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if after := auditHead(t, s); after != before {
		t.Errorf("%d audit entries by an import that conflicts", after-before)
	}

	kept := exportText(t, s)
	sum = mustImport(t, s, changed, func(o *ImportOptions) { o.OnConflict = OnConflictKeep })
	want.Complete = true
	want.Conflicts = []Conflict{
		{2, "root-1", "differs from the tenant that is kept in hold"},
		{3, "child", "differs from the tenant that is kept in parentId, name, status, disabledAt, purgeAfterDays"},
		{4, "u-1", `data differs from that of the user of tenant "root-1" that is kept`},
	}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("keep: summary (-want +got):\n%s", d)
	}
	var without []string
	for _, l := range strings.SplitAfter(exportText(t, s), "\n") {
		if !strings.Contains(l, `"new"`) {
			without = append(without, l)
		}
	}
	if d := cmp.Diff(kept, strings.Join(without, "")); d != "" {
		t.Errorf("keep changed what was kept (-before +after):\n%s", d)
	}
}

func TestImport_KeepNamesTheFirstConflictsAndCountsAll(t *testing.T) {
	s := openStore(t)
	var lines, changed strings.Builder
	for i := range 250 {
		lines.WriteString(activeLine(fmt.Sprintf("t-%03d", i), ""))
		changed.WriteString(disabledLine(fmt.Sprintf("t-%03d", 249-i), "", 30))
	}
	mustImport(t, s, lines.String())
	for _, dry := range []bool{true, false} {
		sum := mustImport(t, s, changed.String(), func(o *ImportOptions) { o.OnConflict, o.DryRun = OnConflictKeep, dry })
		if sum.Tenants.Conflict != 250 || len(sum.Conflicts) != 100 {
			t.Fatalf("%d conflicts, %d of them named", sum.Tenants.Conflict, len(sum.Conflicts))
		}
		for i, c := range sum.Conflicts {
			if c.Line != int64(i+1) || c.ID != fmt.Sprintf("t-%03d", 249-i) {
				t.Errorf("conflict %d: %+v", i, c)
			}
		}
	}
}

func TestImport_InvalidLinesComeBeforeConflicts(t *testing.T) {
	s := openStore(t)
	mustImport(t, s, sample())
	_, err := importText(s, activeLine("child", "")+"x\n")
	wantErrors(t, err, store.Invalid, `line 2: column 1: 'x': want a JSON object`)
}

func TestImport_SomebodyElseWritesMeanwhile(t *testing.T) {
	s := openStore(t)
	// Between the comparison and the first batch, another one creates a tenant
	// of the input, differently.
	f := &flaky{Store: s, after: func(call string) error {
		if call != "begin" {
			return nil
		}
		_, err := s.Create(context.Background(), store.Tenant{ID: "other", Name: "another"}, store.Origin{Actor: importer, At: now})
		return err
	}}
	sum, err := importText(f, sample())
	wantErrors(t, err, store.Conflict, `line 7: "other": differs from the tenant that is kept in name`)
	want := Summary{Lines: 7, Tenants: Tally{New: 3, Conflict: 1}, Resources: Tally{New: 3}, Complete: true}
	if d := cmp.Diff(want, sum); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
	if gateClosed(t, s) {
		t.Error("the gate is closed, and only this import could open it")
	}
}

func TestImport_DigestIsOfTheRecords(t *testing.T) {
	digest := func(text string) string {
		s := openStore(t)
		mustImport(t, s, text)
		entries, err := s.Audit(context.Background(), 1, 1)
		if err != nil || len(entries) != 1 || entries[0].Action != store.ActionImportOpen || len(entries[0].Detail["digest"]) != 64 {
			t.Fatalf("first audit entry: %+v, %v", entries, err)
		}
		return entries[0].Detail["digest"]
	}
	lines := strings.SplitAfter(strings.TrimSuffix(sample(), "\n"), "\n")
	lines[len(lines)-1] += "\n"
	var reversed string
	for _, l := range lines {
		reversed = strings.ReplaceAll(l, `":`, `" : `) + reversed
	}
	first := digest(sample())
	if digest(reversed) != first {
		t.Error("the order of lines or white space changes the digest")
	}
	for name, other := range map[string]string{
		"a record less":   strings.Join(lines[1:], ""),
		"another datum":   strings.Replace(sample(), `"n":1`, `"n":2`, 1),
		"another parent":  strings.Replace(sample(), activeLine("other", ""), activeLine("other", "child"), 1),
		"another user id": strings.Replace(sample(), `"u-2"`, `"u-3"`, 1),
	} {
		if digest(other) == first {
			t.Errorf("%s: the same digest", name)
		}
	}
}

func TestImport_EmptyInputDoesNotCompleteAnother(t *testing.T) {
	s := openStore(t)
	if err := s.BeginImport(context.Background(), store.Import{Digest: "d"}, store.Origin{Actor: importer, At: now}); err != nil {
		t.Fatal(err)
	}
	if sum := mustImport(t, s, ""); sum.Complete || !gateClosed(t, s) {
		t.Errorf("an empty input opened the gate: %+v", sum)
	}
}

// The end of one import must not open the gate while records of another one are
// missing: a parent could be purged before its child's later date is known.
func TestImport_G1_OnlyTheSameInputCompletesAnInterruptedOne(t *testing.T) {
	s := openStore(t)
	in := activeLine("a", "") + activeLine("b", "a")
	f := &flaky{Store: s, after: func(call string) error {
		if call == "begin" {
			return errInjected
		}
		return nil
	}}
	if _, err := Import(context.Background(), ImportOptions{Store: f, Input: strings.NewReader(in), Now: now}); err == nil {
		t.Fatal("the import was not interrupted")
	}
	other := ImportOptions{Store: s, Input: strings.NewReader(activeLine("c", "")), Now: now}
	if _, err := Import(context.Background(), other); store.CodeOf(err) != store.Conflict || !gateClosed(t, s) {
		t.Errorf("another input: %v, gate closed %v", err, gateClosed(t, s))
	}
	if sum := mustImport(t, s, in); !sum.Complete || gateClosed(t, s) {
		t.Errorf("the same input: %+v", sum)
	}
	if err := s.BeginImport(context.Background(), store.Import{Digest: "lost"}, store.Origin{Actor: importer, At: now}); err != nil {
		t.Fatal(err)
	}
	other.Input, other.Supersede = strings.NewReader(activeLine("c", "")), true
	if sum, err := Import(context.Background(), other); err != nil || !sum.Complete || gateClosed(t, s) {
		t.Errorf("superseding: %+v, %v", sum, err)
	}
}

func TestImport_ReadErrorWritesNothing(t *testing.T) {
	s := openStore(t)
	f := &flaky{Store: s}
	_, err := Import(context.Background(), ImportOptions{Store: f, Now: now, Input: io.MultiReader(strings.NewReader(sample()+`{"type":`), iotest.ErrReader(errInjected))})
	if !errors.Is(err, errInjected) || err.Error() != "read line 8: injected" {
		t.Errorf("error is %v", err)
	}
	if len(f.calls) > 0 {
		t.Errorf("calls %v", f.calls)
	}
}

func TestImport_EndedContextWritesNothing(t *testing.T) {
	s := openStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Import(ctx, ImportOptions{Store: s, Input: strings.NewReader(sample()), Now: now}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if n := auditHead(t, s); n != 0 {
		t.Errorf("%d audit entries", n)
	}
}

func TestImport_LeavesNoFiles(t *testing.T) {
	s := openStore(t)
	dir := t.TempDir()
	small := func(o *ImportOptions) { o.TempDir, o.MemoryLimit = dir, 1 }
	look := func(when string) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) > 0 {
			t.Errorf("%s: files %v, %v", when, files, err)
		}
	}
	text, err := io.ReadAll(newGenerator(2000, 100))
	if err != nil {
		t.Fatal(err)
	}
	f := &flaky{Store: s, before: func(string) error { look("while writing"); return nil }}
	mustImport(t, f, string(text), small)
	look("after an import")
	if _, err := importText(s, string(text)+"x", small); err == nil {
		t.Error("bad input was taken")
	}
	look("after a refusal")
	if _, err := importText(s, string(text), func(o *ImportOptions) { o.TempDir, o.MemoryLimit = dir+"/none", 1 }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: error is %v", err)
	}
}

// TestImport_OrderOfWriting pins what a store is given: trees one after the
// other, parents first, resources by kind and from the deepest tenant.
func TestImport_OrderOfWriting(t *testing.T) {
	s := openStore(t)
	r := &recorder{ImportStore: s}
	text := ""
	for _, tenant := range []string{"b", "b-child", "a-grandchild", "a"} {
		for _, k := range []string{"user", "credential", "apiKey", "oauthClient"} {
			for _, id := range []string{"2", "1"} {
				text += `{"type":"` + k + `","tenantId":"` + tenant + `","id":"` + id + `"}` + "\n"
			}
		}
	}
	text += activeLine("b", "") + activeLine("a", "") + activeLine("0-grandchild", "a-child") + activeLine("a-grandchild", "a-child") + activeLine("a-child", "a") + activeLine("b-child", "b")
	mustImport(t, r, text)
	want := []string{"a", "a-child", "0-grandchild", "a-grandchild", "b", "b-child"}
	for _, tree := range [][]string{{"a-grandchild", "a"}, {"b-child", "b"}} {
		for _, k := range store.Kinds() {
			for _, tenant := range tree {
				want = append(want, string(k)+" "+tenant+" 1", string(k)+" "+tenant+" 2")
			}
		}
	}
	if d := cmp.Diff(want, r.written); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
}

// recorder notes what is written.
type recorder struct {
	ImportStore
	written []string
}

func (r *recorder) ImportBatch(ctx context.Context, b store.Batch, o store.Origin) (store.Imported, error) {
	for _, t := range b.Tenants {
		r.written = append(r.written, t.ID)
	}
	for _, x := range b.Resources {
		r.written = append(r.written, string(x.Kind)+" "+x.TenantID+" "+x.ID)
	}
	return r.ImportStore.ImportBatch(ctx, b, o)
}
