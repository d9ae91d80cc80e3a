package oauthtarget

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/tenantpurge/purger/store"
)

// maxLine is the largest line of a registry, in bytes.
const maxLine = 64 << 10

// index is where the clients of each tenant are in one version of a file.
type index struct {
	info os.FileInfo
	// settled says that any later change of the file shows.
	settled bool
	lines   []line // in the order of their tenants, then as in the file
}

// line is where a client is.
type line struct {
	tenant uint64 // a hash of its id
	at     int64
	size   int32
}

// of reports whether the index is of a file as it is now.
func (x *index) of(now os.FileInfo) bool {
	return os.SameFile(x.info, now) && x.info.Size() == now.Size() && x.info.ModTime().Equal(now.ModTime())
}

// serves reports whether the index, which may be nil, is surely that of a file as it
// is now.
func (x *index) serves(now os.FileInfo) bool { return x != nil && x.settled && x.of(now) }

// linesOf returns the lines of a tenant, and perhaps of others.
func (x *index) linesOf(hash uint64) []line {
	from := sort.Search(len(x.lines), func(i int) bool { return x.lines[i].tenant >= hash })
	to := from
	for to < len(x.lines) && x.lines[to].tenant == hash {
		to++
	}
	return x.lines[from:to]
}

// make reads a whole file and checks every line.
func (x *index) make(ctx context.Context, seed maphash.Seed, f io.Reader) error {
	type place struct {
		uri  uint64 // a hash of it
		line int
	}
	var places []place
	in := bufio.NewReaderSize(f, maxLine)
	var at int64
	for n := 1; ; n++ {
		bad := func(err error) error { return store.Errorf(store.Precondition, "clients: line %d: %w", n, err) }
		text, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return bad(errors.New("longer than 64 KiB"))
		case err != nil && !errors.Is(err, io.EOF):
			return store.Errorf(store.Unavailable, "clients: %w", err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			tenantID, c, err := parse(text)
			if err != nil {
				return bad(err)
			}
			x.lines = append(x.lines, line{maphash.String(seed, tenantID), at, int32(len(text))})
			places = append(places, place{maphash.String(seed, c.URI), n})
		}
		if at += int64(len(text)); err != nil {
			break
		}
		if n%1000 == 0 && ctx.Err() != nil {
			return store.Errorf(store.Unavailable, "clients: reading the file: %v", ctx.Err())
		}
	}
	if len(x.lines) == 0 {
		return store.Errorf(store.Precondition, "clients: there is no client in the file; want at least one, since a file that is being written is empty, too")
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.uri, b.uri), a.line-b.line) })
	for i := range places[1:] {
		// Two URIs of one hash: once in 10 million registries of a million clients,
		// and not again after a restart.
		if places[i].uri == places[i+1].uri {
			return store.Errorf(store.Precondition, "clients: line %d: the client of line %d is there twice", places[i+1].line, places[i].line)
		}
	}
	slices.SortFunc(x.lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.at, b.at)) })
	x.lines = slices.Clip(x.lines)
	return nil
}
