package main

import (
	"fmt"
	"io"
	"time"

	"github.com/tenantpurge/purger/store"
)

// lines is the input of an import that takes no memory: trees, each a root and
// its sub-tenants, and then their resources.
type lines struct {
	prefix      string // of the ids of roots
	roots, subs int64
	// resources is how many each tenant has of each kind, in the order of
	// [store.Kinds].
	resources [4]int64
	// due says that the roots' dates have come; else that is in a month.
	due bool
	// data is of each resource.
	data string

	root int64
	buf  []byte
	off  int
}

// perRoot returns how many lines a tree has.
func (l *lines) perRoot() int64 { return (1 + l.subs) * (1 + l.perTenant()) }

func (l *lines) perTenant() (n int64) {
	for _, k := range l.resources {
		n += k
	}
	return n
}

// all returns how many lines there are.
func (l *lines) all() int64 { return l.roots * l.perRoot() }

// id returns that of a root.
func (l *lines) id(root int64) string { return fmt.Sprintf("%s-%07d", l.prefix, root) }

// tenants returns the ids of all tenants, the root of a tree last.
func (l *lines) tenants() []string {
	ids := make([]string, 0, l.roots*(1+l.subs))
	for root := range l.roots {
		for i := range l.subs {
			ids = append(ids, fmt.Sprintf("%s-%d", l.id(root), i))
		}
		ids = append(ids, l.id(root))
	}
	return ids
}

// Read implements [io.Reader].
func (l *lines) Read(p []byte) (int, error) {
	if l.off == len(l.buf) {
		if l.root == l.roots {
			return 0, io.EOF
		}
		l.buf, l.off = l.tree(l.buf[:0]), 0
		l.root++
	}
	n := copy(p, l.buf[l.off:])
	l.off += n
	return n, nil
}

// tree appends the lines of one tree.
func (l *lines) tree(b []byte) []byte {
	root := l.id(l.root)
	disabled := time.Now().Add(-time.Hour)
	if l.due {
		disabled = disabled.AddDate(0, 0, -31)
	}
	b = fmt.Appendf(b, `{"type":"tenant","id":%q,"name":"Tenant %d","status":"disabled","disabledAt":%q,"purgeAfterDays":30}`+"\n",
		root, l.root, store.FormatTime(disabled))
	for i := range l.subs {
		b = fmt.Appendf(b, `{"type":"tenant","id":"%s-%d","parentId":%q,"name":"Part %d","status":"active"}`+"\n", root, i, root, i)
	}
	for k, kind := range store.Kinds() {
		for i := range l.subs + 1 {
			id := root
			if i > 0 {
				id = fmt.Sprintf("%s-%d", root, i-1)
			}
			for n := range l.resources[k] {
				b = fmt.Appendf(b, `{"type":%q,"tenantId":%q,"id":"%s-%07d","data":%s}`+"\n", kind, id, kind, n, l.data)
			}
		}
	}
	return b
}
