package oauthtarget_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/oauthtarget"
	"github.com/tenantpurge/purger/store"
)

// registered returns the line of a client in a registry.
func registered(tenantID string, c oauthtarget.Client) string {
	b, err := json.Marshal(map[string]string{
		"tenant_id": tenantID, "client_id": c.ID, "registration_client_uri": c.URI, "registration_access_token": c.Token,
	})
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

// lines returns the lines of what a fake has registered for acme, and of one client
// of globex.
func (f *fake) lines() string {
	text := registered("globex", oauthtarget.Client{ID: "g", URI: f.url + "/reg?client_id=g", Token: "g"})
	for _, c := range f.clients["acme"] {
		text += registered("acme", c)
	}
	return text
}

// withFile returns a target whose registry is a file, and its path.
func (f *fake) withFile(t *testing.T) (*oauthtarget.Target, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "clients.jsonl")
	rewrite(t, path, f.lines())
	target, err := oauthtarget.New(oauthtarget.Config{
		Name: "login", BaseURL: f.url, Clients: path, Journal: filepath.Join(dir, "journal"),
	}, oauthtarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target, path
}

// rewrite writes a file in place.
func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// age makes a file one that was changed long ago.
func age(t testing.TB, path string) {
	t.Helper()
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, target *oauthtarget.Target, tenantID string, want int64) {
	t.Helper()
	if n, err := target.Count(t.Context(), tenantID, store.KindOAuthClient); err != nil || n != want {
		t.Errorf("Count(%s) = %d, %v, want %d", tenantID, n, err, want)
	}
}

func TestTarget_G6_AClientThatIsRegisteredAfterTheStartIsCountedAndRemoved(t *testing.T) {
	f := newFake(t, 0)
	target, path := f.withFile(t)
	age(t, path)
	count(t, target, "acme", 0)
	f.register("1")
	rewrite(t, path, f.lines())
	age(t, path) // as the one before it, but for the size
	count(t, target, "acme", 1)
	f.register("2")
	rewrite(t, path+".next", f.lines())
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
	if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 2 {
		t.Errorf("Purge = %+v, %v, want both", did, err)
	}
	count(t, target, "acme", 0)
	f.register("3")
	rewrite(t, path, f.lines())
	count(t, target, "acme", 1)
	if did, err := target.Purge(t.Context(), clients(5)); err != nil || did.Deleted != 1 || f.there() != 0 {
		t.Errorf("Purge = %+v, %v with %d there", did, err, f.there())
	}
}

func TestTarget_G6_ARegistryThatCannotBeReadIsNeverAnEmptyOne(t *testing.T) {
	f := newFake(t, 1)
	line := f.lines()
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"blank":   func(path string) error { return os.WriteFile(path, []byte("\n \n\n"), 0o600) },
		"half":    func(path string) error { return os.WriteFile(path, []byte(line[:len(line)-9]), 0o600) },
		"page":    func(path string) error { return os.WriteFile(path, []byte("<html>secret</html>\n"), 0o600) },
		"twice": func(path string) error {
			return os.WriteFile(path, []byte(line+strings.ReplaceAll(line, "acme", "initech")), 0o600)
		},
		"too long": func(path string) error {
			return os.WriteFile(path, []byte(line+strings.Repeat(" ", 1<<17)+line), 0o600)
		},
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"pipe":      func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
		"loop":      func(path string) error { return errors.Join(os.Remove(path), os.Symlink(path, path)) },
	} {
		t.Run(name, func(t *testing.T) {
			target, path := f.withFile(t)
			before := f.called("DELETE") + f.called("GET")
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			for _, tenantID := range []string{"acme", "nobody"} {
				r := clients(5)
				r.TenantID = tenantID
				n, err := target.Count(t.Context(), tenantID, store.KindOAuthClient)
				did, perr := target.Purge(t.Context(), r)
				for _, err := range []error{err, perr} {
					if code := store.CodeOf(err); code != store.Unavailable && code != store.Precondition || purge.IsPermanent(err) || strings.Contains(fmt.Sprint(err), "secret") {
						t.Errorf("%s: %d, %+v, %v (%s)", tenantID, n, did, err, code)
					}
				}
			}
			if f.called("DELETE")+f.called("GET") != before || f.there() != 1 {
				t.Error("the server was called")
			}
			if _, err := oauthtarget.OpenRegistry(path); err == nil {
				t.Error("OpenRegistry takes it")
			}
			_ = os.Remove(path)
			rewrite(t, path, line)
			count(t, target, "acme", 1)
		})
	}
}

// What may be changed without showing is read again: here within one tick of the
// clock of a file system, with the size as it was.
func TestFileRegistry_G6_AChangeThatDoesNotShowIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clients.jsonl")
	of := func(tenantID string) string {
		return registered(tenantID, oauthtarget.Client{ID: "1", URI: "https://l.example.com/1", Token: "t"})
	}
	rewrite(t, path, of("globex"))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := oauthtarget.OpenRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tenantID := range []string{"hooli1", "acme-1", "acme-2"} {
		rewrite(t, path, of(tenantID))
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if list, err := r.Clients(t.Context(), tenantID); err != nil || len(list) != 1 {
			t.Errorf("%d clients of %s, %v", len(list), tenantID, err)
		}
	}
}

func TestFileRegistry_G6_AChangeThatShowsInOneThingAloneIsSeen(t *testing.T) {
	of := func(tenantID string) string {
		return registered(tenantID, oauthtarget.Client{ID: "1", URI: "https://l.example.com/1", Token: "t"})
	}
	past := time.Now().Add(-time.Hour)
	for name, change := range map[string]func(path string) (tenantID string, err error){
		"size": func(path string) (string, error) {
			return "acme", errors.Join(os.WriteFile(path, []byte(of("acme")), 0o600), os.Chtimes(path, past, past))
		},
		"time": func(path string) (string, error) {
			return "acme-1", errors.Join(os.WriteFile(path, []byte(of("acme-1")), 0o600), os.Chtimes(path, past, past.Add(time.Millisecond)))
		},
		"another file": func(path string) (string, error) {
			next := path + ".next"
			return "acme-1", errors.Join(os.WriteFile(next, []byte(of("acme-1")), 0o600), os.Chtimes(next, past, past), os.Rename(next, path))
		},
	} {
		path := filepath.Join(t.TempDir(), "clients.jsonl")
		rewrite(t, path, of("globex"))
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		r, err := oauthtarget.OpenRegistry(path)
		if err != nil {
			t.Fatal(err)
		}
		tenantID, err := change(path)
		if err != nil {
			t.Fatal(err)
		}
		if list, err := r.Clients(t.Context(), tenantID); err != nil || len(list) != 1 {
			t.Errorf("%s: %d clients of %s, %v", name, len(list), tenantID, err)
		}
	}
}

// Damage far from the lines of a tenant, that shows neither in the size nor in the
// time of the file, is met only by who reads it as a whole.
func TestFileRegistry_IsReadAsAWholeOnlyWhenItHasChanged(t *testing.T) {
	path := large(t, 20_000)
	r, err := oauthtarget.OpenRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("?"), 0)
	if err := errors.Join(err, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 777, 1999} {
		list, err := r.Clients(t.Context(), fmt.Sprintf("tenant-%d", i))
		if err != nil || len(list) != 10 {
			t.Fatalf("tenant %d: %d clients, %v", i, len(list), err)
		}
		for k, c := range list {
			want := oauthtarget.Client{
				ID: fmt.Sprintf("client-%d", i*10+k), URI: fmt.Sprintf("https://login.example.com/reg/client-%d", i*10+k), Token: fmt.Sprintf("token-%040d", i*10+k),
			}
			if c != want {
				t.Errorf("tenant %d, client %d is not the one of the file", i, k)
			}
		}
	}
	later := info.ModTime().Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if list, err := r.Clients(t.Context(), "tenant-777"); store.CodeOf(err) != store.Precondition || !strings.Contains(fmt.Sprint(err), "line 1:") {
		t.Errorf("after a change: %d clients, %v", len(list), err)
	}
}

// Whoever asks sees at least what was registered when the call began.
func TestFileRegistry_G6_CallsBesideOneAnotherSeeWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clients.jsonl")
	text := registered("globex", oauthtarget.Client{ID: "g", URI: "https://l.example.com/g", Token: "t"})
	rewrite(t, path, text)
	r, err := oauthtarget.OpenRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	var there atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				want := there.Load()
				if list, err := r.Clients(t.Context(), "acme"); err != nil || int64(len(list)) < want {
					t.Errorf("%d clients, %v, want %d", len(list), err, want)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 200 {
		text += registered("acme", oauthtarget.Client{ID: "c", URI: fmt.Sprintf("https://l.example.com/%d", i), Token: "t"})
		rewrite(t, path+".next", text)
		if i%3 == 0 {
			age(t, path+".next")
		}
		if err := os.Rename(path+".next", path); err != nil {
			t.Error(err)
		}
		there.Add(1)
	}
	close(done)
	wg.Wait()
}

// meddling is a context that does something when it is asked whether it has ended,
// which is in the midst of reading.
type meddling func()

// Deadline implements context.Context.
func (meddling) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (meddling) Value(any) any { return nil }

// Done implements context.Context.
func (meddling) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (m meddling) Err() error {
	m()
	return nil
}

// A client whose line moves to where was read already is not missed.
func TestFileRegistry_G6_AFileThatIsWrittenWhileItIsReadIsReadAgain(t *testing.T) {
	path := large(t, 5000)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moved := func(n int) string {
		return registered("acme", oauthtarget.Client{ID: "c", URI: fmt.Sprintf("https://l.example.com/%d", n), Token: "t"})
	}
	rewrite(t, path, string(text)+moved(0))
	r, err := oauthtarget.OpenRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	once := meddling(func() {
		if times++; times == 1 {
			rewrite(t, path, moved(0)+string(text))
			age(t, path) // so that it was not read again for its age
		}
	})
	rewrite(t, path, string(text)+"\n"+moved(0))
	if list, err := r.Clients(once, "acme"); err != nil || len(list) != 1 || times < 2 {
		t.Errorf("%d clients, %v", len(list), err)
	}
	always := meddling(func() {
		times++
		rewrite(t, path, strings.Repeat("\n", times)+moved(0)+string(text))
	})
	rewrite(t, path, string(text)+"\n\n"+moved(0))
	if list, err := r.Clients(always, "acme"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("%d clients, %v of a file that is never at rest", len(list), err)
	}
}

func TestFileRegistry_HeedsTheContext(t *testing.T) {
	path := large(t, 5000)
	r, err := oauthtarget.OpenRegistry(path)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, path, registered("acme", oauthtarget.Client{ID: "c", URI: "https://l.example.com/c", Token: "t"})+strings.Repeat("\n", 5000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if list, err := r.Clients(ctx, "acme"); store.CodeOf(err) != store.Unavailable {
		t.Errorf("with an ended context: %d clients, %v", len(list), err)
	}
	if list, err := r.Clients(t.Context(), "acme"); err != nil || len(list) != 1 {
		t.Errorf("%d clients, %v", len(list), err)
	}
}
