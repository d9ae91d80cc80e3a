package boltstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestDiscard_TakesBackOnlyWhatOpenHasMade(t *testing.T) {
	parent := t.TempDir()
	there := func(path string) bool {
		_, err := os.Lstat(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	for name, c := range map[string]struct {
		dir, store bool               // are there before
		use        func(*Store) error // may be nil
		wantDir    bool
		wantStore  bool
	}{
		"nothing was there":      {},
		"the directory was":      {dir: true, wantDir: true},
		"the store was":          {dir: true, store: true, wantDir: true, wantStore: true},
		"something was written":  {use: func(s *Store) error { _, err := s.Create(t.Context(), store.Tenant{ID: "a"}, at(epoch)); return err }, wantDir: true, wantStore: true},
		"an import has begun":    {use: func(s *Store) error { return s.BeginImport(t.Context(), store.Import{}, at(epoch)) }, wantDir: true, wantStore: true},
		"another file was added": {use: func(s *Store) error { return os.WriteFile(filepath.Join(s.opt.Dir, "x"), nil, 0o600) }, wantDir: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(parent, name)
			if c.dir {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			open := func() *Store {
				s, err := Open(t.Context(), Options{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			if c.store {
				if err := open().Close(); err != nil {
					t.Fatal(err)
				}
			}
			s := open()
			if c.use != nil {
				if err := c.use(s); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(s.Discard(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if there(dir) != c.wantDir || there(filepath.Join(dir, FileName)) != c.wantStore {
				t.Errorf("directory %v, store %v; want %v, %v", there(dir), there(filepath.Join(dir, FileName)), c.wantDir, c.wantStore)
			}
		})
	}
}

func TestDiscard_LeavesAFileThatTookThePlace(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	path := filepath.Join(dir, FileName)
	if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("another"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := s.Discard(); store.CodeOf(err) != store.Unavailable {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "another" {
		t.Errorf("%q, %v", b, err)
	}
}
