package resttarget_test

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// wire watches the connections between a client and a server, by the client's
// address. A request that was cancelled may still be carried out: the server reads
// it, as in life, when the client has long hung up.
type wire struct {
	mu      sync.Mutex
	changed *sync.Cond
	// hungUp are closed by the client and not yet by the server, ended the other way
	// round.
	hungUp, ended map[string]bool
}

func newWire() *wire {
	w := &wire{hungUp: map[string]bool{}, ended: map[string]bool{}}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// settle waits until the server is done with every connection on which the client
// has hung up.
func (w *wire) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.hungUp) > 0 {
		w.changed.Wait()
	}
}

// closed notes that one side is done with a connection, as in mine, unless the other
// one is already, as in others.
func (w *wire) closed(address string, mine, others map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if others[address] {
		delete(others, address)
	} else {
		mine[address] = true
	}
	w.changed.Broadcast()
}

// watch is a server's ConnState.
func (w *wire) watch(c net.Conn, s http.ConnState) {
	if s == http.StateClosed {
		w.closed(c.RemoteAddr().String(), w.ended, w.hungUp)
	}
}

// transport makes a client's connections.
func (w *wire) transport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &line{Conn: c, wire: w}, nil
	}}
}

// line is a connection of the client.
type line struct {
	net.Conn
	wire *wire
	once sync.Once
}

// Close implements net.Conn.
func (l *line) Close() error {
	l.once.Do(func() { l.wire.closed(l.LocalAddr().String(), l.wire.hungUp, l.wire.ended) })
	return l.Conn.Close()
}
