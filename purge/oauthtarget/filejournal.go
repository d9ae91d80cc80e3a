package oauthtarget

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/tenantpurge/purger/store"
)

// slack is how many superseded lines a journal may have before it is written anew.
const slack = 1000

// FileJournal is a [Journal] in a file of JSON lines that only grows, for one
// process. Writers that come while the disk is written share the next write. After
// a failed write nothing more is recorded, since what is on disk is not known.
type FileJournal struct {
	mu      sync.Mutex // of what follows
	file    *os.File
	entries map[string]Entry
	sent    map[string]Entry // those in this state, a part of entries
	written int64            // records so far
	failed  error

	syncing sync.Mutex // held while the disk writes; taken before mu
	synced  int64
}

var _ Journal = (*FileJournal)(nil)

// OpenJournal opens a journal or makes a new one, readable by its owner alone. It
// cuts off a last record that a crash left half written, and writes the file anew
// when most of it is superseded, or names a client that the rest does not. An error is
// [store.Internal] when there is something else wrong in the file.
func OpenJournal(path string) (*FileJournal, error) {
	j := &FileJournal{entries: map[string]Entry{}, sent: map[string]Entry{}}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, store.Errorf(store.Unavailable, "journal: %w", err)
	}
	sound, lines, named, err := j.read(raw)
	if err != nil {
		return nil, err
	}
	anew := raw == nil || lines > 2*len(j.entries)+slack || named > len(j.sent)
	if anew {
		if err := j.rewrite(path); err != nil {
			return nil, store.Errorf(store.Unavailable, "journal: %w", err)
		}
	}
	j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil && !anew && sound < len(raw) {
		err = errors.Join(j.file.Truncate(int64(sound)), j.file.Sync())
	}
	if err != nil {
		return nil, store.Errorf(store.Unavailable, "journal: %w", err)
	}
	return j, nil
}

// read takes over the lines of a file. It returns how many bytes are sound, how
// many lines are in them, and how many of those name a client. What a crash left is
// at the end, with nothing sound behind it.
func (j *FileJournal) read(raw []byte) (sound, lines, named int, err error) {
	torn := false
	for at := 0; at < len(raw); {
		end := bytes.IndexByte(raw[at:], '\n')
		var e Entry
		ok := end >= 0 && json.Unmarshal(raw[at:at+end], &e) == nil && len(e.Key) == len(Key("")) &&
			(e.State == Untouched || e.State == Sent || e.State == Gone)
		switch {
		case ok && torn:
			return 0, 0, 0, store.Errorf(store.Internal, "journal: byte %d is not of a record, and records follow: it is damaged", sound)
		case ok:
			j.take(e)
			lines++
			if e.Of != nil {
				named++
			}
			sound = at + end + 1
		default:
			torn = true
		}
		if end < 0 {
			break
		}
		at += end + 1
	}
	return sound, lines, named, nil
}

// take puts an entry in the place of the one before it.
func (j *FileJournal) take(e Entry) {
	j.entries[e.Key] = e
	if delete(j.sent, e.Key); e.State == Sent {
		j.sent[e.Key] = e
	}
}

// rewrite puts a file with the entries alone in the place of path.
func (j *FileJournal) rewrite(path string) error {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(j.entries)) {
		line, err := json.Marshal(j.entries[key])
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Entry implements [Journal].
func (j *FileJournal) Entry(key string) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	if e, ok := j.entries[key]; ok {
		return e
	}
	return Entry{Key: key}
}

// Sent implements [Journal].
func (j *FileJournal) Sent(tenantID string) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []Entry
	for _, e := range j.sent {
		if e.Of != nil && e.Of.TenantID == tenantID {
			list = append(list, e)
		}
	}
	return list
}

// Record implements [Journal]. Errors: [store.Unavailable].
func (j *FileJournal) Record(e Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	mine, err := j.write(e, append(line, '\n'))
	if err != nil {
		return err
	}
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= mine {
		return nil // with somebody else's
	}
	j.mu.Lock()
	upTo := j.written
	err = j.failed
	j.mu.Unlock()
	if err == nil {
		if err = j.file.Sync(); err != nil {
			err = j.fail(err)
		}
	}
	if err == nil {
		j.synced = upTo
	}
	return err
}

// write appends a line and returns the number of the record.
func (j *FileJournal) write(e Entry, line []byte) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return 0, j.failed
	}
	if _, err := j.file.Write(line); err != nil {
		j.failed = broken(err)
		return 0, j.failed
	}
	j.take(e)
	j.written++
	return j.written, nil
}

// fail remembers an error for good.
func (j *FileJournal) fail(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = broken(err)
	return j.failed
}

func broken(err error) error {
	return store.Errorf(store.Unavailable, "journal: nothing more is recorded until it is opened again: %w", err)
}

// Close closes the file. Everything recorded is durable already.
func (j *FileJournal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = broken(fs.ErrClosed)
	}
	return j.file.Close()
}
