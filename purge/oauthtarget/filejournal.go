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
	"strings"
	"sync"
	"time"

	"github.com/tenantpurge/purger/store"
)

// slack is how many superseded lines a journal may have before it is written anew.
const slack = 1000

// forgetAfter is how long the file may tell more of clients than the journal does (G13).
// A file that is written anew for each of them would be written most of the time.
const forgetAfter = 10 * time.Minute

// unfinished ends the name of a file that is to take the place of a journal. Between
// that and the journal's name are digits, so that it is not the name of another one.
const unfinished = ".new"

// FileJournal is a [Journal] in a file of JSON lines, for one process, and safe for concurrent use. Writers that come while the disk is written
// share the next write. After a failed write nothing more is recorded, since what is on
// disk is not known.
type FileJournal struct {
	path string

	mu      sync.Mutex // of what follows
	file    *os.File
	entries map[string]Entry
	sent    map[string]Entry // those in this state, a part of entries
	telling int              // of entries, how many tell something of a client
	told    int              // of the lines of the file, those that do
	forget  *time.Timer      // not nil while those are more
	written int64            // records so far
	failed  error

	syncing sync.Mutex // held while the disk writes; taken before mu
	synced  int64
}

var _ Journal = (*FileJournal)(nil)

// OpenJournal opens a journal or makes a new one, readable by its owner alone. It
// cuts off a last record that a crash left half written, and writes the file anew
// when most of it is superseded, or has a name or a token that the rest has not; the
// latter also ten minutes after it came to be so, and at the end. It removes what a crash
// left of a file that was written anew. An error is [store.Internal] when there is
// something else wrong in the file, and [store.Unavailable] when it cannot be read or
// written.
func OpenJournal(path string) (*FileJournal, error) {
	j := &FileJournal{path: path, entries: map[string]Entry{}, sent: map[string]Entry{}}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, store.Errorf(store.Unavailable, "journal: %w", err)
	}
	sound, lines, err := j.read(raw)
	if err != nil {
		return nil, err
	}
	if err := removeUnfinished(path); err != nil {
		return nil, store.Errorf(store.Unavailable, "journal: remove what a crash left: %w", err)
	}
	if raw == nil || lines > 2*len(j.entries)+slack || j.told > j.telling {
		if inPlace, err := j.rewrite(); err != nil {
			if !inPlace {
				_ = j.file.Close()
			}
			return nil, store.Errorf(store.Unavailable, "journal: %w", err)
		}
		return j, nil
	}
	j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil && sound < len(raw) {
		err = errors.Join(j.file.Truncate(int64(sound)), j.file.Sync())
	}
	if err != nil {
		return nil, store.Errorf(store.Unavailable, "journal: %w", err)
	}
	return j, nil
}

// read takes over the lines of a file. It returns how many bytes are sound, and how
// many lines are in them. What a crash left is at the end, with nothing sound behind it.
func (j *FileJournal) read(raw []byte) (sound, lines int, err error) {
	torn := false
	for at := 0; at < len(raw); {
		end := bytes.IndexByte(raw[at:], '\n')
		var e Entry
		ok := end >= 0 && e.parse(raw[at:at+end]) == nil && len(e.Key) == len(Key("")) &&
			(e.State == Untouched || e.State == Sent || e.State == Gone)
		switch {
		case ok && torn:
			return 0, 0, store.Errorf(store.Internal, "journal: byte %d is not of a record, and records follow: it is damaged", sound)
		case ok:
			j.take(e)
			lines++
			sound = at + end + 1
		default:
			torn = true
		}
		if end < 0 {
			break
		}
		at += end + 1
	}
	return sound, lines, nil
}

// parse takes over a line. In one of before there were doubts, a GET may have followed
// the DELETE, and the answer, with another token, may have been lost.
func (e *Entry) parse(line []byte) error {
	var l struct {
		Entry
		Doubt *Doubt `json:"doubt"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return err
	}
	*e = l.Entry
	switch {
	case l.Doubt != nil:
		e.Doubt = *l.Doubt
	case e.State == Sent && e.rotates():
		e.Doubt = Asked
	}
	return nil
}

// removeUnfinished removes the files that a crash kept from taking the place of a
// journal: they name clients, and have tokens.
func removeUnfinished(path string) error {
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, f := range list {
		digits, ours := strings.CutPrefix(f.Name(), filepath.Base(path)+".")
		digits, ends := strings.CutSuffix(digits, unfinished)
		if !ours || !ends || digits == "" || strings.Trim(digits, "0123456789") != "" || !f.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(filepath.Dir(path), f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// take puts an entry, of which there is a line, in the place of the one before it.
func (j *FileJournal) take(e Entry) {
	if j.entries[e.Key].tells() {
		j.telling--
	}
	if e.tells() {
		j.telling++
		j.told++
	}
	j.entries[e.Key] = e
	if delete(j.sent, e.Key); e.State == Sent {
		j.sent[e.Key] = e
	}
}

// rewrite puts a file with the entries alone in the place of the one that there is, and
// goes on in it. After an error it says whether the old one is still in its place.
func (j *FileJournal) rewrite() (inPlace bool, err error) {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(j.entries)) {
		line, err := json.Marshal(j.entries[key])
		if err != nil {
			return true, err
		}
		b.Write(append(line, '\n'))
	}
	f, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*"+unfinished) // of mode 0600
	if err != nil {
		return true, err
	}
	_, err = f.Write(b.Bytes())
	err = errors.Join(err, f.Sync())
	if err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		return true, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if j.file != nil {
		_ = j.file.Close() // nobody can read it any more
	}
	j.file, j.told = f, j.telling
	d, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return false, err
	}
	return false, errors.Join(d.Sync(), d.Close())
}

// forgetInTime writes the file anew when it has told for long enough what it should not.
func (j *FileJournal) forgetInTime() {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.forget = nil; j.failed != nil || j.told == j.telling {
		return
	}
	switch inPlace, err := j.rewrite(); {
	case err == nil:
		j.synced = j.written
	case inPlace: // for want of space, it may be
		j.forget = time.AfterFunc(forgetAfter, j.forgetInTime)
	default: // after a crash it might be the old one
		j.failed = broken(err)
	}
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
	if j.told > j.telling && j.forget == nil {
		j.forget = time.AfterFunc(forgetAfter, j.forgetInTime)
	}
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

// Close closes the file, after writing it anew if it tells more than the journal does.
// Everything recorded is durable already; nothing more is recorded.
func (j *FileJournal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.forget != nil {
		j.forget.Stop()
	}
	var err error
	if j.failed == nil {
		if j.told > j.telling {
			if _, err = j.rewrite(); err != nil {
				err = store.Errorf(store.Unavailable, "journal: it goes on naming clients that are gone: %w", err)
			}
		}
		j.failed = broken(fs.ErrClosed)
	}
	return errors.Join(err, j.file.Close())
}
