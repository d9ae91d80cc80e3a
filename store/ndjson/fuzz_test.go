package ndjson

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantpurge/purger/store"
)

// FuzzDecoder checks a line that is taken against encoding/json, and that its
// export is read as the same record.
func FuzzDecoder(f *testing.F) {
	data, err := os.ReadFile("testdata/rejected.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range strings.Split(string(data), "\n") {
		if text, ok := strings.CutPrefix(l, "< "); ok {
			f.Add([]byte(text))
		}
	}
	sound, err := io.ReadAll(newGenerator(20, 10))
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range bytes.Split(append(sound, sample()...), []byte("\n")) {
		f.Add(l)
	}
	f.Add([]byte(`{"type":"tenant","id":"a","parentId":"b","name":"\"\\\/\u00e9\ud83d\ude00","status":"disabled","createdAt":"2024-03-01T09:00:00Z","disabledAt":"2026-01-05T10:00:00.5+01:00","estimatedPurgeDate":"2026-01-25T09:00:00.5Z","disabledBy":{"id":"x"},"hold":{"reason":"r","until":"2027-01-01T00:00:00Z","actor":{"name":"n"}}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') >= 0 {
			t.Skip()
		}
		d := &decoder{grace: store.DefaultGrace(), now: now}
		errs := d.line(line)
		for _, e := range errs {
			if msg := e.Error(); e.Code != store.Invalid || !utf8.ValidString(msg) || strings.ContainsAny(msg, "\n\r\x1b") {
				t.Errorf("error %q, code %q", msg, e.Code)
			}
		}
		if len(errs) > 0 {
			return
		}
		agreesWithJSON(t, d, line)

		again := &decoder{grace: store.DefaultGrace(), now: now}
		var text []byte
		if d.isTenant {
			text = appendTenantLine(nil, &d.tenant)
		} else {
			r := d.resource()
			var err error
			if text, err = appendResourceLine(nil, &r); err != nil {
				t.Fatal(err)
			}
		}
		if errs := again.line(bytes.TrimSuffix(text, []byte("\n"))); len(errs) > 0 {
			t.Fatalf("the export %s is refused: %v", text, errs)
		}
		if diff := cmp.Diff(d.tenant, again.tenant); diff != "" {
			t.Errorf("the export %s is another tenant:\n%s", text, diff)
		}
		if diff := cmp.Diff(d.resource(), again.resource()); !d.isTenant && diff != "" && len(d.data) > 0 {
			t.Errorf("the export %s is another resource:\n%s", text, diff)
		}
		if d.isTenant {
			kept, err := decodeTenant(appendTenant(nil, &d.tenant))
			if diff := cmp.Diff(d.tenant, kept); err != nil || diff != "" {
				t.Errorf("the temporary form of %s is another tenant: %v\n%s", line, err, diff)
			}
		}
	})
}

// agreesWithJSON compares what was read with what encoding/json reads.
func agreesWithJSON(t *testing.T, d *decoder, line []byte) {
	t.Helper()
	var want struct {
		Type                                           string
		ID, TenantID, ParentID, Name, Hostname, Status string
		ActiveSubscriptions                            int
		Hold                                           *struct{ Reason string }
		DisabledBy                                     store.Actor
		Data                                           json.RawMessage
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	if err := dec.Decode(&want); err != nil {
		t.Fatalf("encoding/json refuses %s: %v", line, err)
	}
	if d.isTenant != (want.Type == "tenant") || !d.isTenant && string(d.kind) != want.Type || d.id != want.ID || d.tenantID != want.TenantID {
		t.Errorf("%s: read as %+v", line, d.parsed)
	}
	if !d.isTenant {
		var compact bytes.Buffer
		if len(want.Data) > 0 {
			if err := json.Compact(&compact, want.Data); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(compact.Bytes(), d.data) {
			t.Errorf("%s: data read as %s", line, d.data)
		}
		return
	}
	reason := ""
	if want.Hold != nil {
		reason = want.Hold.Reason
	}
	got := d.tenant
	if got.ID != want.ID || got.ParentID != want.ParentID || got.Name != want.Name || got.Hostname != want.Hostname ||
		string(got.Status) != want.Status || got.ActiveSubscriptions != want.ActiveSubscriptions || got.DisabledBy != want.DisabledBy ||
		(got.Hold == nil) != (want.Hold == nil) || got.Hold != nil && got.Hold.Reason != reason {
		t.Errorf("%s: read as %+v", line, got)
	}
}

// FuzzLines checks that lines come out as a plain split has them, whatever the
// pieces in which they come in.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), 1)
	f.Add([]byte("\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var want [][]byte
		if len(text) > 0 {
			want = bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		}
		in := newLines(&pieces{text, max(piece%1000, 1)})
		for i, w := range want {
			got, tooLong, err := in.next()
			if err != nil || tooLong || !bytes.Equal(got, w) || in.n != int64(i+1) {
				t.Fatalf("line %d is %q, %v, %v; want %q", in.n, got, tooLong, err, w)
			}
		}
		if _, _, err := in.next(); err != io.EOF {
			t.Errorf("after the last line: %v", err)
		}
	})
}

// pieces reads a text in pieces of a size.
type pieces struct {
	text []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.text[:min(p.size, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}
