package boltstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/tenantpurge/purger/store"
)

// Open opens the store in opt.Dir, or makes one.
//
// Errors: NotFound when there is none and opt.MustExist is set; Unavailable,
// wrapping [ErrLocked], when another process has it open, and for whatever else
// may pass by itself; Precondition for a file that is not a store, is damaged, is
// a link, was written by a newer version, or is not for this user to write.
func Open(ctx context.Context, opt Options) (*Store, error) {
	if opt.LockTimeout == 0 {
		opt.LockTimeout = time.Second
	}
	if opt.TxTarget == 0 {
		opt.TxTarget = DefaultTxTarget
	}
	if opt.MmapSize == 0 {
		opt.MmapSize = DefaultMmapSize
	}
	if opt.Logger == nil {
		opt.Logger = zap.NewNop()
	}
	if opt.Dir == "" {
		return nil, store.Errorf(store.Invalid, "the store needs a directory").At("dir")
	}
	path := filepath.Join(opt.Dir, FileName)
	mine, err := prepare(opt, path)
	if err != nil {
		return nil, err
	}
	h, err := inspect(path)
	if err != nil {
		return nil, err
	}
	if !h.synced {
		// The list of free pages has to be gathered from the whole file. Page
		// faults one by one would take many times as long.
		opt.Logger.Info("the store was not closed cleanly: reading it ahead", zap.String("path", path))
		if err := readAhead(ctx, path); err != nil {
			return nil, err
		}
		if err := checkFormOf(path); err != nil {
			return nil, err
		}
	}
	db, held, err := openFile(path, opt)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opt: opt, log: opt.Logger, db: db, held: held, path: path, made: mine,
		freeSpace: freeSpace,
		wake:      make(chan struct{}, 1), loopDone: make(chan struct{}), failedCh: make(chan struct{}),
	}
	if err := guard(func() error { s.pageSize = pageSizeOf(db); return db.View(s.load) }); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := guard(func() error { return addLaterBuckets(db) }); err != nil {
		return nil, errors.Join(store.Errorf(store.Unavailable, "bring the store to this version: %w", err), db.Close())
	}
	if err := guard(func() error {
		return db.View(func(tx *bolt.Tx) (err error) { s.hostKey, err = readHostKey(tx); return err })
	}); err != nil {
		return nil, errors.Join(store.Errorf(store.Precondition, "open %s: %w", path, err), db.Close())
	}
	s.fenceAtOpen = s.totals.fence
	_, _ = rand.Read(s.session[:]) // never fails
	removeLeftovers(opt)
	go s.loop()
	return s, nil
}

// made says what Open has made.
type made struct{ dir, file bool }

// prepare makes the directory and, when there is none, the file.
func prepare(opt Options, path string) (made, error) {
	var m made
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&os.ModeSymlink != 0:
		return m, store.Errorf(store.Precondition, "%s is a symbolic link; want the store's own file", path)
	case err == nil && !info.Mode().IsRegular():
		return m, store.Errorf(store.Precondition, "%s is not a regular file (%s)", path, info.Mode().Type())
	case err == nil && info.Size() == 0:
		return m, store.Errorf(store.Precondition, "%s is empty: a store was lost here; restore a backup, or remove the file to begin anew", path)
	case err == nil:
		return m, nil
	case !errors.Is(err, os.ErrNotExist):
		return m, notUsable("look at the store", err)
	case opt.MustExist:
		return m, store.Errorf(store.NotFound, "there is no store in %s", opt.Dir)
	}
	_, err = os.Lstat(opt.Dir)
	m.dir = errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return m, notUsable("make the data directory", err)
	}
	if free, err := freeSpace(opt.Dir); err == nil && free < leastRoom {
		return m, fmt.Errorf("create the store: %w", noRoom(&store.Space{Dir: opt.Dir, Free: free, Want: leastRoom}))
	}
	m.file, err = create(path, opt)
	return m, err
}

// notUsable returns the error for a directory or file that cannot be worked with:
// Precondition when that is for a person to mend. What else the system refuses,
// for want of room, memory or descriptors, or because a disk does not answer,
// may pass by itself.
func notUsable(what string, err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && !lasts(no) {
		return store.Errorf(store.Unavailable, "%s: %w", what, err)
	}
	return store.Errorf(store.Precondition, "%s: %w%s; want a data directory that this user can write to", what, err, whose(err))
}

// lasts reports whether an error of the system is about the path, the rights to
// it or how it is mounted.
func lasts(no syscall.Errno) bool {
	switch no {
	case syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG:
		return true
	}
	return false
}

// create makes an empty store under another name and links it to its own, so
// that a file of this name is a whole store at any time. A store that another
// process made meanwhile is left alone; then it reports false.
func create(path string, opt Options) (bool, error) {
	tmp, err := os.CreateTemp(opt.Dir, FileName+".new-*")
	if err != nil {
		return false, notUsable("create the store", err)
	}
	name := tmp.Name()
	defer func() { _ = os.Remove(name) }()
	if err := errors.Join(GiveToOwner(tmp), tmp.Close()); err != nil {
		return false, store.Errorf(store.Unavailable, "create the store: %w", err)
	}
	db, err := bolt.Open(name, 0o600, boltOptions(opt))
	if err != nil {
		return false, store.Errorf(store.Unavailable, "create the store: %w", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range append(topBuckets(), laterBuckets()...) {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		m := tx.Bucket(bucketMeta)
		return errors.Join(
			m.Put(keyFormat, []byte(format)),
			m.Put(keySchema, binary.BigEndian.AppendUint32(nil, schemaFirst)),
			m.Put(keyTotals, (&totals{}).encode()),
			makeHostKey(tx),
		)
	})
	if err == nil {
		err = syncFreelist(db)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return false, store.Errorf(store.Unavailable, "create the store: %w", err)
	}
	err = os.Link(name, path)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return false, store.Errorf(store.Unavailable, "create the store: %w", err)
	}
	return err == nil, syncDir(opt.Dir)
}

// boltOptions are those of every database that is opened here.
func boltOptions(opt Options) *bolt.Options {
	return &bolt.Options{
		Timeout:         opt.LockTimeout,
		NoFreelistSync:  true,
		FreelistType:    bolt.FreelistArrayType,
		InitialMmapSize: int(opt.MmapSize),
	}
}

// openFile opens the database, which must be the file that path names, also
// after the lock was waited for.
func openFile(path string, opt Options) (*bolt.DB, os.FileInfo, error) {
	db, held, err := openBolt(path, path, opt)
	var system syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, nil, store.Errorf(store.Unavailable, "%s: %w", path, ErrLocked)
	case errors.As(err, &system):
		return nil, nil, notUsable("open the store", err)
	case err != nil:
		return nil, nil, store.Errorf(store.Precondition, "open %s: %w", path, err)
	}
	if err := isStill(path, held); err != nil {
		return nil, nil, errors.Join(store.Errorf(store.Unavailable, "open the store: %w", err), db.Close())
	}
	return db, held, nil
}

// isStill returns an error unless path names the file that is open. The lock
// follows the file: beside one that was moved away, another process could open
// a copy.
func isStill(path string, held os.FileInfo) error {
	named, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("the store's file is gone: %w", err)
	}
	if !os.SameFile(held, named) {
		return fmt.Errorf("%s was replaced by another file", path)
	}
	return nil
}

// openBolt opens the file name, which is or will be known as path, without
// following links, and describes what it opened.
func openBolt(name, path string, opt Options) (db *bolt.DB, held os.FileInfo, err error) {
	o := boltOptions(opt)
	o.OpenFile = func(_ string, flag int, mode os.FileMode) (*os.File, error) {
		at := path // for a copy, after the file has its name
		if held == nil {
			at = name
		}
		f, err := os.OpenFile(at, flag&^os.O_CREATE|syscall.O_NOFOLLOW, mode)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil && held != nil && !os.SameFile(info, held) {
			err = fmt.Errorf("%s was replaced by another file", path)
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		held = info
		return f, nil
	}
	err = guard(func() (err error) {
		db, err = bolt.Open(name, 0o600, o)
		return err
	})
	return db, held, err
}

// load reads what is kept in memory.
func (s *Store) load(tx *bolt.Tx) error {
	m := tx.Bucket(bucketMeta)
	if m == nil || string(m.Get(keyFormat)) != format {
		return store.Errorf(store.Precondition, "%s is a bbolt file but not a store of purger", tx.DB().Path())
	}
	v := m.Get(keySchema)
	if len(v) != 4 {
		return store.Errorf(store.Precondition, "%s has no schema version", tx.DB().Path())
	}
	if have := binary.BigEndian.Uint32(v); have < schemaFirst || have > schema {
		return store.Errorf(store.Precondition, "%s has schema %d and this purger knows %d: it was written by a newer version", tx.DB().Path(), have, schema)
	}
	for _, name := range topBuckets() {
		if tx.Bucket(name) == nil {
			return store.Errorf(store.Precondition, "%s lacks bucket %s", tx.DB().Path(), name)
		}
	}
	var err error
	if s.totals, err = decodeTotals(m.Get(keyTotals)); err != nil {
		return err
	}
	if v := m.Get(keyGates); v != nil {
		if err := json.Unmarshal(v, &s.gates); err != nil {
			return store.Errorf(store.Internal, "read the gates: %w", err)
		}
	}
	gates := s.gates
	s.gatesNow.Store(&gates)
	if v := m.Get(keyErased); len(v) == 8 {
		s.erased = fromMillis(binary.BigEndian.Uint64(v))
	}
	if _, v := tx.Bucket(bucketAudit).Cursor().Last(); v != nil {
		var e store.Entry
		if err := json.Unmarshal(v, &e); err != nil {
			return store.Errorf(store.Internal, "read the last audit entry: %w", err)
		}
		s.head = store.AuditRef{Seq: e.Seq, Hash: e.Hash}
	}
	s.claims.load(tx)
	return s.window.load(tx)
}

// Where bbolt's meta pages hold what inspect needs. The format is that of
// bbolt's internal/common/meta.go: a page header of 16 bytes, then magic,
// version, page size, flags, root (16 bytes), freelist, high water mark,
// transaction and an FNV-1a checksum of all before it, in the byte order of
// the machine.
const (
	metaHeader   = 16
	metaSize     = 64
	metaMagic    = 0xED0CDAED
	noFreelist   = ^uint64(0)
	smallestPage = 1 << 10
	largestPage  = 1 << 16
)

// head is what the newest head of a file says.
type head struct {
	page   int    // size of a page, in bytes
	root   uint64 // the page at which everything begins
	high   uint64 // the first page that is not in use
	synced bool   // the list of free pages is in the file
}

// inspect looks at a file before bbolt maps it, since bbolt panics on one that
// was cut.
func inspect(path string) (head, error) {
	var h head
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return h, notUsable("open the store", err)
	}
	defer func() { _ = f.Close() }()
	var newest uint64
	found := false
	for off := int64(0); off <= largestPage; off = max(smallestPage, off*2) {
		var b [metaHeader + metaSize]byte
		if _, err := f.ReadAt(b[:], off); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return h, notUsable("read the head of the store", err)
		}
		m := b[metaHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		le := binary.NativeEndian
		if le.Uint32(m) != metaMagic || sum.Sum64() != le.Uint64(m[56:]) {
			continue
		}
		txid := le.Uint64(m[48:])
		if found && txid <= newest {
			continue
		}
		found, newest = true, txid
		h = head{page: int(le.Uint32(m[8:])), root: le.Uint64(m[16:]), high: le.Uint64(m[40:]), synced: le.Uint64(m[32:]) != noFreelist}
	}
	if !found {
		return h, store.Errorf(store.Precondition, "%s is not a store of purger: it is no bbolt file, or its head is damaged", path)
	}
	// The size comes last: a process that has the store open may make it grow.
	info, err := f.Stat()
	if err != nil {
		return h, store.Errorf(store.Unavailable, "open the store: %w", err)
	}
	if needs := h.high * uint64(h.page); uint64(info.Size()) < needs {
		return h, store.Errorf(store.Precondition, "%s was cut: it has %d bytes and needs %d; restore a backup", path, info.Size(), needs)
	}
	return h, nil
}

// readAhead reads a file in sequence, so that it is in the page cache.
func readAhead(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return store.Errorf(store.Unavailable, "read the store ahead: %w", err)
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return store.Errorf(store.Unavailable, "read the store ahead: %w", err)
		}
		if _, err := f.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return store.Errorf(store.Unavailable, "read the store ahead: %w", err)
		}
	}
}

// removeLeftovers removes files that a creation or compaction left when it was
// killed. The lock on the store makes sure that none is at work.
func removeLeftovers(opt Options) {
	entries, err := os.ReadDir(opt.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), FileName+".new-") || strings.HasPrefix(e.Name(), FileName+".compact-") {
			if err := os.Remove(filepath.Join(opt.Dir, e.Name())); err == nil {
				opt.Logger.Info("removed a leftover file", zap.String("name", e.Name()))
			}
		}
	}
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return store.Errorf(store.Unavailable, "sync %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return store.Errorf(store.Unavailable, "sync %s: %w", dir, fmt.Errorf("%w", err))
	}
	return nil
}
