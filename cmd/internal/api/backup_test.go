package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

func TestStreams_TheErrorOfTheWriterIsNotTheDaemons(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.create(t, client.NewTenant{ID: "acme"})
		if _, err := r.Export(t.Context(), full{}); err != errFull {
			t.Errorf("export: %v", err)
		}
		if _, err := r.Backup(t.Context(), full{}); err != errFull {
			t.Errorf("backup: %v", err)
		}
	})
}

func TestBackup_IsAStoreThatOpens(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		if _, err := r.Import(t.Context(), strings.NewReader(lines), client.ImportOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		f, err := os.OpenFile(filepath.Join(dir, "purger.db"), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		size, err := r.Backup(t.Context(), f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(f.Name()); err != nil || fi.Size() != size || size == 0 {
			t.Fatalf("%d bytes were announced: %v, %v", size, fi, err)
		}
		copied, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer copied.Close()
		if err := copied.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if got, err := copied.Tenant(t.Context(), "acme-eu"); err != nil || got.Name != "Acme EU" {
			t.Errorf("tenant %+v, %v", got, err)
		}
		entries, err := os.ReadDir(r.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != client.SocketName {
				t.Errorf("%q was left behind", e.Name())
			}
		}
	})
}

// peeking is a store that looks at the spool while a backup is written.

type peeking struct {
	*boltstore.Store
	during func(f *os.File) (int64, error)
}

func (p *peeking) Backup(ctx context.Context, w io.Writer) (int64, error) {
	if p.during != nil {
		return p.during(w.(*os.File))
	}
	return p.Store.Backup(ctx, w)
}

func TestBackup_SpoolIsPrivateAndHasNoName(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.options.Store.(*peeking).during = func(f *os.File) (int64, error) {
			fi, err := f.Stat()
			if err != nil || fi.Mode() != 0o600 {
				t.Errorf("mode %v, %v", fi.Mode(), err)
			}
			if _, err := os.Lstat(f.Name()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a crash now would leave %q: %v", f.Name(), err)
			}
			if filepath.Dir(f.Name()) != r.dir {
				t.Errorf("it is in %q, want the data directory", f.Name())
			}
			_, err = r.Backup(t.Context(), io.Discard) // one at a time
			wantCode(t, err, store.Unavailable)
			n, err := f.WriteString("0123456789")
			return int64(n), err
		}
		var out bytes.Buffer
		size, err := r.Backup(t.Context(), &out)
		if err != nil || size != 10 || out.String() != "0123456789" {
			t.Errorf("%d bytes %q, %v", size, out.String(), err)
		}
	}, func(o *Options) { o.Store = &peeking{Store: o.Store.(*boltstore.Store)} })
}

func TestBackup_FailsWhenTheCopyIsNotWhatWasAnnounced(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		r.options.Store.(*peeking).during = func(f *os.File) (int64, error) {
			n, err := f.WriteString("0123456789")
			return int64(n) + 1, err
		}
		_, err := r.Backup(t.Context(), io.Discard)
		wantCode(t, err, store.Internal)
		r.options.Store.(*peeking).during = func(*os.File) (int64, error) {
			return 0, store.Errorf(store.Unavailable, "the store is closed")
		}
		_, err = r.Backup(t.Context(), io.Discard)
		wantCode(t, err, store.Unavailable)
	}, func(o *Options) { o.Store = &peeking{Store: o.Store.(*boltstore.Store)} })
}

func TestBackup_ShorterThanAnnouncedIsAnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, client.SocketName)
	serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write(make([]byte, 50))
	}), path)
	c := client.Over(client.NewTransport(path))
	defer c.Close()
	_, err := c.Backup(t.Context(), io.Discard)
	if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error %v", err)
	}
}

func TestBackup_RefusedWhenItWouldFillTheDisk(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Store = &huge{o.Store} }).inProcess(t)
	_, err := r.Backup(t.Context(), io.Discard)
	if store.CodeOf(err) != store.Unavailable || !strings.Contains(err.Error(), "temporary space") {
		t.Errorf("error %v", err)
	}
}

// huge is a store that says that its file is larger than any disk.

type huge struct{ store.Store }

func (h *huge) Stats(ctx context.Context, now time.Time) (store.Stats, error) {
	s, err := h.Store.Stats(ctx, now)
	s.Size.Size = 1 << 60
	return s, err
}

func TestStreams_LargerThanEveryBufferComeWhole(t *testing.T) {
	both(t, func(t *testing.T, r *rig) {
		const size = 3<<20 + 1
		r.options.Store.(*peeking).during = func(f *os.File) (int64, error) {
			n, err := f.Write(bytes.Repeat([]byte("0123456"), size/7+1)[:size])
			return int64(n), err
		}
		h := sha256.New()
		n, err := r.Backup(t.Context(), h)
		want := sha256.Sum256(bytes.Repeat([]byte("0123456"), size/7+1)[:size])
		if err != nil || n != size || !bytes.Equal(h.Sum(nil), want[:]) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}, func(o *Options) { o.Store = &peeking{Store: o.Store.(*boltstore.Store)} })
}
