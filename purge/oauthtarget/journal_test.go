package oauthtarget_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

func open(t *testing.T, path string) *oauthtarget.FileJournal {
	t.Helper()
	j, err := oauthtarget.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func entry(i int, s oauthtarget.State) oauthtarget.Entry {
	return oauthtarget.Entry{Key: oauthtarget.Key(fmt.Sprint(i)), State: s, Token: "t"}
}

func TestFileJournal_IsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	_ = open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v beside the journal, %v", left, err)
	}
}

// A crash leaves any part of what was not acknowledged.
func TestFileJournal_G7_ACutAtAnyByteKeepsWhatIsBeforeIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	for i, s := range []oauthtarget.State{oauthtarget.Sent, oauthtarget.Sent, oauthtarget.Gone} {
		if err := j.Record(entry(i, s)); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		for i, tail := range []string{"", "\x00\x00\x00", "{}\n"} {
			if n%3 != i && n > 0 && whole[n-1] != '\n' {
				continue // each with all three takes seconds of fsync
			}
			if err := os.WriteFile(path, append(bytes.Clone(whole[:n]), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			j := open(t, path)
			if err := j.Record(entry(7, oauthtarget.Sent)); err != nil {
				t.Fatal(err)
			}
			_ = j.Close()
			j = open(t, path)
			for i := range bytes.Count(whole[:n], []byte("\n")) {
				if want := entry(i, []oauthtarget.State{oauthtarget.Sent, oauthtarget.Sent, oauthtarget.Gone}[i]); j.Entry(want.Key) != want {
					t.Fatalf("cut at byte %d with %q behind it: %+v, want %+v", n, tail, j.Entry(want.Key), want)
				}
			}
			if j.Entry(entry(7, "").Key).State != oauthtarget.Sent {
				t.Fatalf("cut at byte %d with %q behind it: what was recorded afterwards is lost", n, tail)
			}
			_ = j.Close()
		}
	}
}

func TestFileJournal_DamageBeforeSoundRecordsIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	for i := range 3 {
		if err := j.Record(entry(i, oauthtarget.Sent)); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	whole, _ := os.ReadFile(path)
	for _, change := range [][2]string{{`"sent"`, `"sant"`}, {`"sent"`, "\"se\nt\""}, {`{"key"`, "\x00\x00\x00\x00\x00\x00"}} {
		if err := os.WriteFile(path, []byte(strings.Replace(string(whole), change[0], change[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := oauthtarget.OpenJournal(path); store.CodeOf(err) != store.Internal {
			t.Errorf("%q for %q: %v", change[1], change[0], err)
		}
	}
}

func TestFileJournal_IsWrittenAnewWhenMostOfItIsOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var lines bytes.Buffer
	for i := range 3000 {
		b, _ := json.Marshal(entry(i%10, []oauthtarget.State{oauthtarget.Sent, oauthtarget.Gone}[i/2990]))
		lines.Write(append(b, '\n'))
	}
	if err := os.WriteFile(path, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		j := open(t, path)
		for i := range 10 {
			if want := entry(i, oauthtarget.Gone); j.Entry(want.Key) != want {
				t.Errorf("%+v, want %+v", j.Entry(want.Key), want)
			}
		}
		_ = j.Close()
	}
	if kept, err := os.ReadFile(path); err != nil || bytes.Count(kept, []byte("\n")) != 10 {
		t.Errorf("%d lines for 10 entries, %v", bytes.Count(kept, []byte("\n")), err)
	}
}

// A file that is written anew and was cut by a crash has neither what named a client
// nor anything behind its last record.
func TestFileJournal_G7_IsWrittenAnewAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	sent := entry(1, oauthtarget.Sent)
	sent.Of = &oauthtarget.Sending{TenantID: "acme", ClientID: "c", URI: "https://l.example.com/c", Token: "t"}
	for _, e := range []oauthtarget.Entry{sent, entry(1, oauthtarget.Gone), entry(2, oauthtarget.Gone)} {
		if err := j.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		j := open(t, path)
		if err := j.Record(entry(3+i, oauthtarget.Sent)); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
	}
	kept, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(kept), "acme") || strings.Contains(string(kept), "\x00") || bytes.Count(kept, []byte("\n")) != 4 {
		t.Errorf("%v; the journal is\n%q", err, kept)
	}
	if want := entry(1, oauthtarget.Gone); open(t, path).Entry(want.Key) != want {
		t.Error("an entry is lost")
	}
}

func TestFileJournal_ManyWritersAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for _, s := range []oauthtarget.State{oauthtarget.Sent, oauthtarget.Gone} {
				if err := j.Record(entry(i, s)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_ = j.Close()
	if err := j.Record(entry(0, oauthtarget.Sent)); store.CodeOf(err) != store.Unavailable {
		t.Errorf("Record in a closed journal: %v", err)
	}
	j = open(t, path)
	for i := range 50 {
		if want := entry(i, oauthtarget.Gone); j.Entry(want.Key) != want {
			t.Errorf("%+v, want %+v", j.Entry(want.Key), want)
		}
	}
}

// A version that did not know of doubts may have lost the answer with another token.
func TestFileJournal_G6_ALineOfBeforeThereWereDoubtsIsNotCertain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	key := func(i int) string { return entry(i, "").Key }
	old := fmt.Sprintf(`{"key":%q,"state":"sent","token":"t","instead":"i","of":{"tenantId":"acme","clientId":"c","uri":"u","token":"r"}}
{"key":%q,"state":"sent","of":{"tenantId":"acme","clientId":"c","uri":"u","token":"r"}}
{"key":%q,"token":"t","instead":"i"}
{"key":%q,"state":"gone"}
`, key(0), key(1), key(2), key(3))
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []oauthtarget.Doubt{oauthtarget.Asked, oauthtarget.Certain, oauthtarget.Certain, oauthtarget.Certain}
	j := open(t, path)
	for i, d := range []oauthtarget.Doubt{oauthtarget.Certain, oauthtarget.Asked, oauthtarget.Told} {
		e := entry(4+i, oauthtarget.Sent)
		e.Doubt = d
		if err := j.Record(e); err != nil {
			t.Fatal(err)
		}
		want = append(want, d)
	}
	// As it was appended, and as it is written anew for a client that is gone.
	for range 2 {
		_ = j.Close()
		j = open(t, path)
		for i, d := range want {
			if e := j.Entry(key(i)); e.Doubt != d {
				t.Errorf("the doubt of %d is %q, want %q", i, e.Doubt, d)
			}
		}
		for _, e := range []oauthtarget.Entry{entry(9, oauthtarget.Sent), {Key: key(9), State: oauthtarget.Gone}} {
			if err := j.Record(e); err != nil {
				t.Fatal(err)
			}
		}
	}
}
