package ndjson

import (
	"os"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// TestImport_RefusesBadInput runs every block of testdata/rejected.txt.
func TestImport_RefusesBadInput(t *testing.T) {
	data, err := os.ReadFile("testdata/rejected.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(t)
	blocks := strings.Split(strings.TrimSpace(string(data)), "\n\n")
	if len(blocks) < 90 {
		t.Fatalf("%d blocks in testdata/rejected.txt", len(blocks))
	}
	for _, block := range blocks[1:] { // the first is a comment
		var in, want []string
		for _, l := range strings.Split(block, "\n") {
			if text, ok := strings.CutPrefix(l, "< "); ok {
				in = append(in, text)
			} else if text, ok := strings.CutPrefix(l, "> "); ok {
				want = append(want, text)
			} else {
				t.Fatalf("line %q of testdata/rejected.txt", l)
			}
		}
		t.Run(in[0], func(t *testing.T) {
			_, err := importText(s, strings.Join(in, "\n")+"\n")
			wantErrors(t, err, store.Invalid, want...)
		})
	}
	if n := auditHead(t, s); n != 0 {
		t.Errorf("%d audit entries after refused imports", n)
	}
}

func TestImport_RefusesInvalidUTF8(t *testing.T) {
	s := openStore(t)
	_, err := importText(s, "{\"type\":\"tenant\",\"id\":\"a\",\"status\":\"active\",\"name\":\"\xff\xfe\"}\n"+
		"{\"type\":\"user\",\"tenantId\":\"a\",\"id\":\"u\",\"data\":{\"\xc3\":1}}")
	wantErrors(t, err, store.Invalid,
		"line 1: column 53: not valid UTF-8",
		"line 2: column 49: not valid UTF-8")
}

func TestImport_RefusesLongLineAndReadsOn(t *testing.T) {
	s := openStore(t)
	line := func(n int) string { // a line of n bytes, by white space
		l := `{"type":"tenant","id":"a","status":"active"}`
		return l + strings.Repeat(" ", n-len(l))
	}
	_, err := importText(s, line(maxLine+1)+"\n"+line(3*maxLine)+"\nnul\n"+line(maxLine+1))
	wantErrors(t, err, store.Invalid,
		"line 1: longer than 1048576 bytes",
		"line 2: longer than 1048576 bytes",
		"line 3: column 1: 'n': want a JSON object",
		"line 4: longer than 1048576 bytes")
	if sum := mustImport(t, s, line(maxLine)+"\n"); sum.Tenants.New != 1 {
		t.Errorf("a line of the largest length: %+v", sum)
	}
}

// An id that the caller refuses is refused once, not again with what belongs to it.
func TestImport_RefusesIDsThatTheCallerRefuses(t *testing.T) {
	s := openStore(t)
	check := func(o *ImportOptions) {
		o.CheckID = func(id string) error {
			if id == "me" {
				return store.Errorf(store.Invalid, "id %q: taken", id).At("id")
			}
			return nil
		}
	}
	text := activeLine("a", "") + activeLine("me", "a") + activeLine("b", "me") + userLine("me", "me") + userLine("a", "me")
	_, err := importText(s, text, check)
	wantErrors(t, err, store.Invalid, `line 2: "me": id "me": taken`)
	if n := auditHead(t, s); n != 0 {
		t.Errorf("%d audit entries after a refused import", n)
	}
	if sum := mustImport(t, s, activeLine("a", "")+userLine("a", "me"), check); sum.Resources.New != 1 {
		t.Errorf("a user with such an id: %+v", sum)
	}
}

func TestImport_RefusesTooMuchData(t *testing.T) {
	s := openStore(t)
	user := func(n int) string {
		const around = len(`{"a":""}`)
		return activeLine("t", "") + `{"type":"user","tenantId":"t","id":"u","data": { "a" : "` + strings.Repeat("x", n-around) + `" } }` + "\n"
	}
	_, err := importText(s, user(store.MaxDataSize+1))
	wantErrors(t, err, store.Invalid, `line 2: "u": data: 65537 bytes; want at most 65536`)
	mustImport(t, s, user(store.MaxDataSize))
}

func TestImport_RefusesDeepData(t *testing.T) {
	s := openStore(t)
	user := func(n int) string {
		return activeLine("t", "") + `{"type":"user","tenantId":"t","id":"u","data":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + "}\n"
	}
	_, err := importText(s, user(maxNesting+1))
	wantErrors(t, err, store.Invalid, `line 2: "u": column 50047: nested too deeply: want at most 10000 levels`)
	mustImport(t, s, user(maxNesting))
}

func TestImport_ErrorsComeInTheOrderOfLines(t *testing.T) {
	s := openStore(t)
	// Found last to first: the resource, the parent, the duplicate, the syntax.
	_, err := importText(s, userLine("nobody", "u")+activeLine("a", "nobody")+activeLine("b", "")+activeLine("b", "")+"x\n")
	wantErrors(t, err, store.Invalid,
		`line 1: "u": tenantId: tenant "nobody" is neither in the input nor in the store`,
		`line 2: "a": parentId: tenant "nobody" is neither in the input nor in the store`,
		`line 4: "b": the tenant is on line 3 already`,
		`line 5: column 1: 'x': want a JSON object`)
}

func TestImport_TellsTheFirstErrorsAndCountsAll(t *testing.T) {
	s := openStore(t)
	text := strings.Repeat("x\n", 250)
	for max, told := range map[int]int{0: 100, 3: 3, -1: 0, 1000: 250} {
		_, err := importText(s, text, func(o *ImportOptions) { o.MaxErrors = max })
		bad, ok := err.(*InvalidInput)
		if !ok || bad.Total != 250 || len(bad.Errors) != told {
			t.Errorf("MaxErrors %d: %d errors told of %d, want %d of 250", max, len(bad.Errors), bad.Total, told)
		}
		if told == 3 {
			const want = "250 errors in the input\nline 1: column 1: 'x': want a JSON object\n" +
				"line 2: column 1: 'x': want a JSON object\nline 3: column 1: 'x': want a JSON object\nand 247 more"
			if err.Error() != want {
				t.Errorf("message is\n%s\nwant\n%s", err, want)
			}
		}
	}
}

func TestImport_RefusesBadOptions(t *testing.T) {
	s := openStore(t)
	for want, change := range map[string]func(*ImportOptions){
		`onConflict "overwrite": want fail or keep`:                                  func(o *ImportOptions) { o.OnConflict = "overwrite" },
		`grace period 40 to 90 days, 30 by default: want 1 <= min <= default <= max`: func(o *ImportOptions) { o.Grace.Min = 40 },
		`grace period 10 to 20 days, 30 by default: want 1 <= min <= default <= max`: func(o *ImportOptions) { o.Grace.Max = 20 },
		`grace period -1 to 90 days, 30 by default: want 1 <= min <= default <= max`: func(o *ImportOptions) { o.Grace.Min = -1 },
	} {
		_, err := importText(s, activeLine("a", ""), change)
		if err == nil || err.Error() != want || store.CodeOf(err) != store.Invalid {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
