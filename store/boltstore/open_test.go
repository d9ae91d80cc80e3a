package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/tenantpurge/purger/store"
)

// refused opens a directory that must not open, and returns the message.
func refused(t *testing.T, dir string, code store.Code) string {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, LockTimeout: 50 * time.Millisecond})
	if err == nil {
		_ = s.Close()
		t.Fatal("the store opened")
	}
	if got := store.CodeOf(err); got != code {
		t.Fatalf("code %s, want %s: %v", got, code, err)
	}
	return err.Error()
}

func wantText(t *testing.T, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%q does not say %q", got, p)
		}
	}
}

func TestOpen_RefusesWhatIsNotItsStore(t *testing.T) {
	rewrite := func(change func(b []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	edit := func(fn func(tx *bolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(fn), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]struct {
		damage func(t *testing.T, path string)
		want   []string
	}{
		"size zero":           {rewrite(func([]byte) []byte { return nil }), []string{"is empty", "restore a backup"}},
		"cut":                 {rewrite(func(b []byte) []byte { return b[:3*os.Getpagesize()] }), []string{"was cut"}},
		"cut within the head": {rewrite(func(b []byte) []byte { return b[:100] }), []string{"was cut"}},
		"not bbolt":           {rewrite(func(b []byte) []byte { return []byte(strings.Repeat("no store ", 4000)) }), []string{"not a store of purger"}},
		"both heads flipped": {rewrite(func(b []byte) []byte {
			page := os.Getpagesize()
			b[20] ^= 1
			b[page+20] ^= 1
			return b
		}), []string{"not a store of purger"}},
		"a link": {func(t *testing.T, path string) {
			if err := errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path)); err != nil {
				t.Fatal(err)
			}
		}, []string{"symbolic link"}},
		"a directory": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, []string{"not a regular file"}},
		"foreign bbolt":  {edit(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketMeta) }), []string{"not a store of purger"}},
		"another format": {edit(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyFormat, []byte("etcd")) }), []string{"not a store of purger"}},
		"newer schema": {edit(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keySchema, []byte{0, 0, 0, 7}) }),
			[]string{"schema 7", "knows 6", "newer version"}},
		"a bucket missing": {edit(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketDue) }), []string{"lacks bucket due"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(t.Context(), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, FileName)
			c.damage(t, path)
			before, _ := os.ReadFile(path)
			wantText(t, refused(t, dir, store.Precondition), append(c.want, path)...)
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestOpen_G12_RefusesASecondDaemon(t *testing.T) {
	f := newFixture(t)
	if _, err := Open(t.Context(), Options{Dir: f.dir, LockTimeout: 20 * time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	f.create("a", "") // the first one is not disturbed
}

// The lock follows the file, so that a copy put in its place would have a
// second owner while the first one still writes to the original.
func TestWrite_G12_StopsWhenTheFileWasReplaced(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"moved away": func(path string) error { return os.Rename(path, path+".old") },
		"replaced by a copy": func(path string) error {
			b, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.create("a", "")
			f.must(replace(filepath.Join(f.dir, FileName)))
			_, err := f.Create(t.Context(), store.Tenant{ID: "b"}, at(epoch))
			if store.CodeOf(err) != store.Unavailable {
				t.Fatalf("got %v, want unavailable", err)
			}
			if _, err := f.Tenant(t.Context(), "a"); store.CodeOf(err) != store.Unavailable {
				t.Fatalf("reading goes on: %v", err)
			}
		})
	}
}

func TestOpen_MustExistMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Open(t.Context(), Options{Dir: dir, MustExist: true}); store.CodeOf(err) != store.NotFound {
		t.Fatalf("got %v, want not_found", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a directory was made")
	}
}

func TestOpen_RemovesWhatAKilledCompactionLeft(t *testing.T) {
	f := newFixture(t)
	f.must(f.Close())
	left := filepath.Join(f.dir, FileName+".compact-1")
	f.must(os.WriteFile(left, []byte("half"), 0o600))
	f.open()
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the leftover is still there")
	}
}

// While the store is open, commits leave the list of free pages out; a clean
// close writes it, so that the next Open need not read the whole file.
func TestClose_WritesTheFreelist(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(f.dir, FileName)
	f.create("a", "")
	if h, err := inspect(path); err != nil || h.synced {
		t.Fatalf("open: synced %v, %v; want false", h.synced, err)
	}
	f.must(f.Close())
	if h, err := inspect(path); err != nil || !h.synced {
		t.Fatalf("closed: synced %v, %v; want true", h.synced, err)
	}
	f.open()
	f.create("b", "")
}

func TestOpen_FilesAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, FileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}
