package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
)

// peerKey is the key of a connection's peer in the context of its requests.
type peerKey struct{}

// peer is who is at the other end of a connection.
type peer struct {
	uid    uint32
	groups []uint32 // supplementary ones included
	err    error
}

// withPeer is an [http.Server.ConnContext]. It runs where connections are
// accepted, so the name of the user is looked up later.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(c))
}

// Peers says what the users at the other end of a Unix socket may do, as the
// kernel tells who they are. The zero value makes each a super_admin: then the
// mode of the socket alone decides. It does not change and is safe for concurrent
// use.
type Peers struct {
	users, groups map[uint32]client.Role
	others        client.Role
	limited       bool // false: the zero value
}

// NewPeers returns the peers of a table. Its keys are "user:NAME", "uid:N",
// "group:NAME", "gid:N" and "*" for everybody; of those that fit, the role counts
// that may do most. Errors: [store.Invalid] for a key of another form or a name
// that this machine does not know.
func NewPeers(table map[string]client.Role) (*Peers, error) {
	p := &Peers{users: map[uint32]client.Role{}, groups: map[uint32]client.Role{}, limited: true}
	for key, role := range table {
		if key == "*" {
			p.others = role
			continue
		}
		into, id, err := p.place(key)
		if err != nil {
			return nil, err
		}
		into[id] = most(into[id], role)
	}
	return p, nil
}

// place returns where the role of a key belongs.
func (p *Peers) place(key string) (into map[uint32]client.Role, id uint32, err error) {
	kind, name, _ := strings.Cut(key, ":")
	number := name
	switch into = p.groups; kind {
	case "user":
		into = p.users
		u, err := user.Lookup(name)
		if err != nil {
			return nil, 0, store.Errorf(store.Invalid, "%q: %w; want a user of this machine, or uid:N", key, err)
		}
		number = u.Uid
	case "group":
		g, err := user.LookupGroup(name)
		if err != nil {
			return nil, 0, store.Errorf(store.Invalid, "%q: %w; want a group of this machine, or gid:N", key, err)
		}
		number = g.Gid
	case "uid":
		into = p.users
	case "gid":
	default:
		return nil, 0, store.Errorf(store.Invalid, "%q: want user:NAME, uid:N, group:NAME, gid:N or *", key)
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return nil, 0, store.Errorf(store.Invalid, "%q: want %s:N with a number from 0 to 4294967295", key, kind)
	}
	return into, uint32(n), nil
}

// most returns the role that may do more.
func most(a, b client.Role) client.Role {
	if a.AtLeast(b) {
		return a
	}
	return b
}

// Authenticate is the Authenticate of the Unix socket and of [InProcess]. The
// caller's ID is "uid:1000" and its Name that of the user, if the uid has one.
// Root and the user of this process may do everything, since the store's file is
// theirs anyway.
func (p *Peers) Authenticate(r *http.Request) (Caller, error) {
	from, ok := r.Context().Value(peerKey{}).(peer)
	switch {
	case !ok:
		return Caller{}, store.Errorf(store.Unauthenticated, "the connection does not tell who is at its other end")
	case from.err != nil:
		return Caller{}, store.Errorf(store.Unauthenticated, "who is at the other end of the connection: %w", from.err)
	}
	return Caller{Actor: actorOf(from.uid), Role: p.role(from)}, nil
}

// role returns what a peer may do.
func (p *Peers) role(from peer) client.Role {
	if !p.limited || from.uid == 0 || from.uid == uint32(os.Geteuid()) {
		return client.RoleSuperAdmin
	}
	role := most(p.users[from.uid], p.others)
	for _, g := range from.groups {
		role = most(role, p.groups[g])
	}
	return role
}

// ProcessActor returns the actor of this process, as [Peers] names it.
func ProcessActor() store.Actor { return actorOf(uint32(os.Geteuid())) }

// actorOf returns the actor of a uid.
func actorOf(uid uint32) store.Actor {
	id := strconv.FormatUint(uint64(uid), 10)
	a := store.Actor{ID: "uid:" + id}
	if u, err := user.LookupId(id); err == nil && store.CheckText("name", u.Username, store.MaxNameLength) == nil {
		a.Name = u.Username
	}
	return a
}

// peerOf asks the kernel who is at the other end of a socket; at that of a pipe
// is this process.
func peerOf(c net.Conn) peer {
	if c.LocalAddr().Network() == "pipe" {
		return peer{uid: uint32(os.Geteuid())}
	}
	sc, ok := c.(syscall.Conn)
	if !ok || c.LocalAddr().Network() != "unix" {
		return peer{err: errors.New("not a Unix socket")}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return peer{err: fmt.Errorf("socket: %w", err)}
	}
	var p peer
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, p.err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); p.err != nil {
			p.err = fmt.Errorf("SO_PEERCRED: %w", p.err)
			return
		}
		p.uid = cred.Uid
		p.groups, p.err = peerGroups(fd)
		p.groups = append(p.groups, cred.Gid)
	})
	if err != nil {
		p.err = fmt.Errorf("socket: %w", err)
	}
	return p
}

// peerGroups returns the supplementary groups of a socket's peer, from before it
// connected.
func peerGroups(fd uintptr) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(unsafe.SliceData(groups))), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return groups[:size/4], nil
		case unix.ERANGE: // size is what it takes
			groups = make([]uint32, size/4)
		default:
			return nil, fmt.Errorf("SO_PEERGROUPS: %w", errno)
		}
	}
}
