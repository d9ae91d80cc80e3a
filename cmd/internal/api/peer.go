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
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tenantpurge/purger/store"
)

// peerKey is the key of a connection's peer in the context of its requests.
type peerKey struct{}

// peer is who is at the other end of a connection.
type peer struct {
	uid uint32
	err error
}

// withPeer is an [http.Server.ConnContext]. It runs where connections are
// accepted, so the name of the user is looked up later.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uid, err := peerUID(c)
	return context.WithValue(ctx, peerKey{}, peer{uid, err})
}

// PeerActor is the Authenticate of the Unix socket and of [InProcess]: the user
// at the other end of the connection, as the kernel tells it. Its ID is
// "uid:1000" and its Name that of the user, if the uid has one.
func PeerActor(r *http.Request) (store.Actor, error) {
	p, ok := r.Context().Value(peerKey{}).(peer)
	switch {
	case !ok:
		return store.Actor{}, store.Errorf(store.Unauthenticated, "the connection does not tell who is at its other end")
	case p.err != nil:
		return store.Actor{}, store.Errorf(store.Unauthenticated, "who is at the other end of the connection: %w", p.err)
	}
	return actorOf(p.uid), nil
}

// ProcessActor returns the actor of this process, as [PeerActor] names it.
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

// peerUID returns the uid at the other end of a socket; that of a pipe is this
// process's.
func peerUID(c net.Conn) (uint32, error) {
	if c.LocalAddr().Network() == "pipe" {
		return uint32(os.Geteuid()), nil
	}
	sc, ok := c.(syscall.Conn)
	if !ok || c.LocalAddr().Network() != "unix" {
		return 0, errors.New("not a Unix socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if credErr != nil {
		return 0, fmt.Errorf("SO_PEERCRED: %w", credErr)
	}
	return cred.Uid, nil
}
