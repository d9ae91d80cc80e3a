package boltstore

import (
	"strings"
	"sync"

	"github.com/tenantpurge/purger/store"
)

// accessIndex holds of every tenant what the gate needs: its status, parent and
// host name, of purged ones the id. Ids never leave it, since the gate tells
// purged tenants from unknown ones.
//
// It takes about 125 bytes for a tenant with an id of 36 bytes, and 80 more when
// it has a host name of 23, of which a purge gives back a half.
//
// A deactivation changes one node, whatever is below it: the ancestors are
// looked at when it is read.
type accessIndex struct {
	mu    sync.RWMutex
	ids   map[string]int32 // id -> node
	hosts map[string]int32 // host name in lower case -> first node of its list
	// gone are the host names of purged tenants, by the key of the store.
	gone map[hostDigest]struct{}
	key  *hostKey
	// blocks hold the nodes, so that growing copies none of them. Node 0 is
	// no tenant.
	blocks []*[accessBlock]accessNode
	size   int32
	// unread counts the nodes that are known only as somebody's parent, which
	// happens while the index is loaded.
	unread int
}

// accessNode is one tenant. Links are node numbers, 0 for none.
type accessNode struct {
	id         string
	parent     int32
	next, prev int32 // in the list of the tenants that have its host name
	status     uint8 // see statusCode; accessUnread
}

const (
	accessBlock  = 1 << 12
	accessUnread = 255
	// accessChunk is how many changes are applied before readers have their turn.
	accessChunk = 256
	// accessSteps is how many nodes an answer for a host name looks at: more
	// than a single chain has, and about a millisecond.
	accessSteps = 2 * store.MaxDepth
)

// accessChange makes a record what it is after a change. Host names are in
// lower case.
type accessChange struct {
	id, parent    string // parent is looked at for a new node alone
	oldHost, host string
	status        uint8
}

// newAccessIndex returns an empty index with room for n tenants.
func newAccessIndex(n int, key *hostKey) *accessIndex {
	x := &accessIndex{ids: make(map[string]int32, n), hosts: map[string]int32{}, gone: map[hostDigest]struct{}{}, key: key}
	x.size = 1
	x.blocks = append(x.blocks, new([accessBlock]accessNode))
	return x
}

func (x *accessIndex) node(n int32) *accessNode {
	return &x.blocks[n/accessBlock][n%accessBlock]
}

// at returns the node of an id, which is a new, unread one if it must be. The
// index keeps id.
func (x *accessIndex) at(id string) int32 {
	if n, ok := x.ids[id]; ok {
		return n
	}
	n := x.size
	x.size++
	if int(n/accessBlock) == len(x.blocks) {
		x.blocks = append(x.blocks, new([accessBlock]accessNode))
	}
	*x.node(n) = accessNode{id: id, status: accessUnread}
	x.ids[id] = n
	x.unread++
	return n
}

// apply makes committed changes visible, in their order. Readers may see some
// of them before others.
func (x *accessIndex) apply(changes []accessChange) {
	for len(changes) > 0 {
		n := min(len(changes), accessChunk)
		x.mu.Lock()
		for i := range changes[:n] {
			x.change(&changes[i])
		}
		x.mu.Unlock()
		changes = changes[n:]
	}
}

func (x *accessIndex) change(c *accessChange) {
	n, ok := x.ids[c.id]
	if !ok {
		n = x.at(strings.Clone(c.id))
	}
	if x.node(n).status == accessUnread {
		parent := int32(0)
		if c.parent != "" {
			parent = x.at(strings.Clone(c.parent))
		}
		x.fill(n, parent, c.status, c.host)
		return
	}
	if c.oldHost != c.host {
		x.unlink(n, c.oldHost)
		x.link(n, c.host)
	}
	x.node(n).status = c.status
}

// bury notes host names of purged tenants.
func (x *accessIndex) bury(hosts []hostDigest) {
	for len(hosts) > 0 {
		n := min(len(hosts), accessChunk)
		x.mu.Lock()
		for _, d := range hosts[:n] {
			x.gone[d] = struct{}{}
		}
		x.mu.Unlock()
		hosts = hosts[n:]
	}
}

// fill sets what is known of an unread node.
func (x *accessIndex) fill(n, parent int32, status uint8, host string) {
	x.unread--
	node := x.node(n)
	node.parent, node.status = parent, status
	x.link(n, host)
}

// link adds a node to the list of a host name.
func (x *accessIndex) link(n int32, host string) {
	if host == "" {
		return
	}
	if first, ok := x.hosts[host]; ok {
		x.node(n).next, x.node(first).prev = first, n
	}
	x.hosts[strings.Clone(host)] = n
}

// unlink removes a node from the list of a host name.
func (x *accessIndex) unlink(n int32, host string) {
	if host == "" {
		return
	}
	node := x.node(n)
	switch {
	case node.prev != 0:
		x.node(node.prev).next = node.next
	case node.next != 0:
		x.hosts[strings.Clone(host)] = node.next
	default:
		delete(x.hosts, host)
	}
	if node.next != 0 {
		x.node(node.next).prev = node.prev
	}
	node.next, node.prev = 0, 0
}

// byID answers for an id.
func (x *accessIndex) byID(id string) store.Access {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n, ok := x.ids[id]
	if !ok {
		return store.Access{}
	}
	a, _ := x.verdict(n)
	return a
}

// byHost answers for a host name.
func (x *accessIndex) byHost(host string) store.Access {
	host = strings.TrimSuffix(host, ".")
	if len(host) > store.MaxHostnameLength {
		return store.Access{}
	}
	var name [store.MaxHostnameLength]byte
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		name[i] = c
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var a store.Access
	total := 0
	first := x.hosts[string(name[:len(host)])]
	if first == 0 && len(x.gone) > 0 {
		if _, purged := x.gone[x.key.of(string(name[:len(host)]))]; purged {
			return store.Access{Known: true, Status: store.StatusDeleted}
		}
	}
	for n := first; n != 0; n = x.node(n).next {
		if total > accessSteps {
			return store.Access{Known: true}
		}
		var steps int
		if a, steps = x.verdict(n); !a.Allowed {
			return a
		}
		total += steps
	}
	return a
}

// verdict looks at a node and its ancestors for the first that is not active,
// and tells at how many it looked.
func (x *accessIndex) verdict(n int32) (a store.Access, steps int) {
	active := statusCode(store.StatusActive)
	for at := n; at != 0; steps++ {
		node := x.node(at)
		if node.status != active {
			return store.Access{Known: true, Status: store.Statuses()[node.status], By: node.id}, steps
		}
		at = node.parent
	}
	return store.Access{Known: true, Allowed: true, Status: store.StatusActive, By: x.node(n).id}, steps
}

// noteAccess remembers a change of a record for the gate. Either may be nil, see
// reindex.
func (w *wtx) noteAccess(old, now *record) {
	if w.access == nil {
		return
	}
	var c accessChange
	if old != nil {
		c = accessChange{id: old.ID, oldHost: strings.ToLower(old.Hostname), status: statusCode(store.StatusDeleted)}
	}
	if now != nil {
		c.id, c.parent, c.host, c.status = now.ID, now.ParentID, strings.ToLower(now.Hostname), statusCode(now.Status)
	}
	if old != nil && now != nil && old.Status == now.Status && c.oldHost == c.host {
		return
	}
	w.accessChanges = append(w.accessChanges, c)
}

// Access implements [store.Gatekeeper].
func (s *Store) Access(id string) (store.Access, error) {
	x, err := s.accessLoaded()
	if err != nil {
		return store.Access{}, err
	}
	return x.byID(id), nil
}

// AccessByHost implements [store.Gatekeeper].
func (s *Store) AccessByHost(host string) (store.Access, error) {
	x, err := s.accessLoaded()
	if err != nil {
		return store.Access{}, err
	}
	return x.byHost(host), nil
}

// accessLoaded returns the index once it is complete.
func (s *Store) accessLoaded() (*accessIndex, error) {
	if err := s.failure(); err != nil {
		return nil, err
	}
	x := s.accessReady.Load()
	if x == nil {
		return nil, store.Errorf(store.Unavailable, "whether tenants may be served is not loaded, or the store is closed")
	}
	return x, nil
}
