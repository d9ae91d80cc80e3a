package oauthtarget_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/oauthtarget"
)

// sending returns what the journal has of a client while a DELETE is sent.
func sending(i int) oauthtarget.Entry {
	e := entry(i, oauthtarget.Sent)
	e.Token, e.Of = "given-out", &oauthtarget.Sending{TenantID: "acme", ClientID: "c", URI: "https://l.example.com/c", Token: "registered"}
	return e
}

// told returns what a journal's file tells that it should not.
func told(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, s := range []string{"acme", "example.com", "registered", "given-out"} {
		if strings.Contains(string(b), s) {
			found = append(found, s)
		}
	}
	return strings.Join(found, " ")
}

// What a daemon has removed does not stay in its file until it is started anew.
func TestFileJournal_G13_TenMinutesAfterAClientIsGoneTheFileDoesNotTellOfIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	synctest.Test(t, func(t *testing.T) {
		j := open(t, path)
		gone := oauthtarget.Entry{Key: entry(1, "").Key, State: oauthtarget.Gone}
		record := func(list ...oauthtarget.Entry) {
			for _, e := range list {
				if err := j.Record(e); err != nil {
					t.Error(err)
				}
			}
		}
		record(entry(3, oauthtarget.Gone)) // with a token, "t"
		record(sending(1), gone)
		time.Sleep(10*time.Minute - 1) // the bubble's clock
		synctest.Wait()
		if told(t, path) == "" {
			t.Error("it is written anew earlier than it says")
		}
		record(oauthtarget.Entry{Key: entry(2, "").Key, State: oauthtarget.Sent}) // meanwhile
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if s := told(t, path); s != "" {
			t.Errorf("the file has %s", s)
		}
		// It goes on in the new file, and does so again.
		record(sending(1))
		if j.Entry(gone.Key).Of == nil || told(t, path) == "" {
			t.Error("what is recorded afterwards is not in the file")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if told(t, path) == "" {
			t.Error("what the journal has to tell has gone")
		}
		record(gone)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := told(t, path); s != "" {
			t.Errorf("the second time the file has %s", s)
		}
	})
	j := open(t, path)
	for i, want := range []oauthtarget.State{oauthtarget.Untouched, oauthtarget.Gone, oauthtarget.Sent, oauthtarget.Gone} {
		if got := j.Entry(entry(i, "").Key).State; got != want {
			t.Errorf("entry %d is %q, want %q", i, got, want)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v beside the journal, %v", left, err)
	}
}

func TestFileJournal_G13_AtTheEndTheFileTellsNothingOfWhatIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	for _, e := range []oauthtarget.Entry{sending(1), {Key: entry(1, "").Key, State: oauthtarget.Gone}} {
		if err := j.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if s := told(t, path); s != "" {
		t.Errorf("the file has %s", s)
	}
	if e := open(t, path).Entry(entry(1, "").Key); e.State != oauthtarget.Gone {
		t.Errorf("%+v", e)
	}
}

// A file that cannot be written anew is tried again, and stays in use.
func TestFileJournal_G13_AFileThatCannotBeWrittenAnewIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "journal")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		j := open(t, path)
		for _, e := range []oauthtarget.Entry{sending(1), {Key: entry(1, "").Key, State: oauthtarget.Gone}} {
			if err := j.Record(e); err != nil {
				t.Fatal(err)
			}
		}
		// Nothing can be made in a directory that is elsewhere.
		if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "moved")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if err := os.Rename(filepath.Join(dir, "moved"), filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if err := j.Record(oauthtarget.Entry{Key: entry(2, "").Key, State: oauthtarget.Gone}); err != nil || told(t, path) == "" {
			t.Errorf("after a rewriting that failed: %v", err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := told(t, path); s != "" {
			t.Errorf("the file has %s", s)
		}
	})
}

// A file that a crash kept from taking the place of the journal names clients for ever.
func TestOpenJournal_G13_WhatACrashLeftIsRemovedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	j := open(t, path)
	for _, e := range []oauthtarget.Entry{sending(1), {Key: entry(1, "").Key, State: oauthtarget.Gone}} {
		if err := j.Record(e); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What cannot take its place is told by its name.
	if err := errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "full"), 0o700)); err != nil {
		t.Fatal(err)
	}
	var failed *os.LinkError
	if err := j.Close(); !errors.As(err, &failed) {
		t.Fatalf("Close: %v", err)
	}
	keep := []string{
		"journal.1", "journal.123456", "journal.new", "journal..new", "journal.1x.new", "journal.12.new.bak",
		"journal.-1.new", "xjournal.1.new", "other.12.new", "journal1.new",
	}
	if err := errors.Join(os.RemoveAll(path), os.Mkdir(filepath.Join(dir, "journal.77.new"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, file := range append([]string{filepath.Base(failed.Old)}, keep...) {
		if err := os.WriteFile(filepath.Join(dir, file), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_ = open(t, path)
	want := append(keep, "journal", "journal.77.new")
	slices.Sort(want)
	var left []string
	list, err := os.ReadDir(dir)
	for _, f := range list {
		left = append(left, f.Name())
	}
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %q, %v\nwant %q", left, err, want)
	}
}
