package oauthtarget

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tenantpurge/purger/store"
)

// settling is how old a change of a file has to be for the next one to show in its
// times, on any file system.
const settling = 2 * time.Second

// readings is how often a file that changes meanwhile is read for one call.
const readings = 3

// FileRegistry is a [Registry] in a file, of the form that the package says. Each
// call looks whether the file is another or has changed since, and then reads it
// again. In memory is where the lines of each tenant are, 24 bytes a client, and
// no secret. It is safe for concurrent use.
//
// A file that cannot be read, a line that is wrong, and a file without any client,
// as one is that is being written, are errors: [store.Unavailable] and
// [store.Precondition]. They name the line, and nothing secret. Who changes the file
// had better put another in its place: a file that is written in place and is read
// when it ends with a whole line does not show that the rest is yet to come.
type FileRegistry struct {
	path  string
	seed  maphash.Seed
	index atomic.Pointer[index]
	turn  chan struct{} // held by who reads the whole file
}

var _ Registry = (*FileRegistry)(nil)

// OpenRegistry returns the registry in a file, which it reads. Its errors are those of
// [FileRegistry].
func OpenRegistry(path string) (*FileRegistry, error) {
	r := &FileRegistry{path: path, seed: maphash.MakeSeed(), turn: make(chan struct{}, 1)}
	_, err := r.Clients(context.Background(), "")
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Clients implements [Registry].
func (r *FileRegistry) Clients(ctx context.Context, tenantID string) ([]Client, error) {
	var list []Client
	var err error
	for range readings {
		if list, err = r.read(ctx, tenantID); !errors.Is(err, errChanged) {
			break
		}
	}
	return list, err
}

// errChanged is why a file is read again at once.
var errChanged = store.Errorf(store.Unavailable, "clients: the file is written while it is read; want it to be replaced by another")

// read reads the clients of a tenant from one version of the file.
func (r *FileRegistry) read(ctx context.Context, tenantID string) ([]Client, error) {
	f, err := os.OpenFile(r.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // nobody waits for a pipe
	if err != nil {
		return nil, store.Errorf(store.Unavailable, "clients: %w", err)
	}
	defer f.Close()
	x, err := r.current(ctx, f)
	if err != nil {
		return nil, err
	}
	list, err := x.clients(f, maphash.String(r.seed, tenantID), tenantID)
	if now, e := f.Stat(); e != nil || !x.of(now) {
		return nil, errors.Join(errChanged, e) // whatever was read
	}
	return list, err
}

// current returns the index of a file, and makes it when there is none.
func (r *FileRegistry) current(ctx context.Context, f *os.File) (*index, error) {
	now := time.Now()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, store.Errorf(store.Unavailable, "clients: %w", err)
	case !info.Mode().IsRegular():
		return nil, store.Errorf(store.Precondition, "clients: %s is not a file", r.path)
	}
	if x := r.index.Load(); x.serves(info) {
		return x, nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, store.Errorf(store.Unavailable, "clients: waiting for the file to be read: %v", ctx.Err())
	}
	if x := r.index.Load(); x.serves(info) {
		return x, nil // since a moment
	}
	x := &index{info: info, settled: now.Sub(info.ModTime()).Abs() > settling}
	if err := x.make(ctx, r.seed, f); err != nil {
		if now, e := f.Stat(); e == nil && !x.of(now) {
			return nil, errChanged
		}
		return nil, err
	}
	r.index.Store(x)
	return x, nil
}

// clients reads the lines of a tenant.
func (x *index) clients(f io.ReaderAt, hash uint64, tenantID string) ([]Client, error) {
	var list []Client
	var text []byte
	for _, l := range x.linesOf(hash) {
		text = append(text[:0], make([]byte, l.size)...)
		if _, err := f.ReadAt(text, l.at); err != nil {
			return nil, store.Errorf(store.Unavailable, "clients: %w", err)
		}
		owner, c, err := parse(text)
		if err != nil {
			return nil, store.Errorf(store.Precondition, "clients: byte %d: %w", l.at, err)
		}
		if owner == tenantID { // else their hashes are the same
			list = append(list, c)
		}
	}
	return list, nil
}

// parse reads one line.
func parse(line []byte) (tenantID string, c Client, err error) {
	var r registered
	if json.Unmarshal(bytes.TrimSpace(line), &r) != nil { // its error may show what was read
		return "", c, errors.New("not a JSON object with tenant_id, client_id, registration_client_uri and registration_access_token")
	}
	if err := store.CheckID("tenant_id", r.TenantID); err != nil {
		return "", c, err
	}
	c, err = r.client()
	return r.TenantID, c, err
}
