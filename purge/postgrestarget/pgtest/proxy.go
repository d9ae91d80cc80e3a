package pgtest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Proxy passes connections on to a server, until it is told to cut one between
// the effect of a statement and its answer.
type Proxy struct {
	to string
	l  net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
	armed []byte // what a client must send to be cut off; nil for nothing
	early bool   // cut it off without waiting for the answer
	cuts  int
	wg    sync.WaitGroup
}

// NewProxy starts a proxy in front of an address. It ends with the test.
func NewProxy(tb testing.TB, to string) *Proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{to: to, l: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	tb.Cleanup(func() {
		p.Down()
		p.wg.Wait()
	})
	return p
}

// Addr returns where it listens.
func (p *Proxy) Addr() string { return p.l.Addr().String() }

// CutAnswerTo arms the proxy: the next connection on which a client sends text
// is cut when the server answers, and the answer is lost.
func (p *Proxy) CutAnswerTo(text string) { p.arm(text, false) }

// CutAfter arms the proxy: the next connection on which a client sends text is
// cut as soon as the server has got it.
func (p *Proxy) CutAfter(text string) { p.arm(text, true) }

func (p *Proxy) arm(text string, early bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.early = []byte(text), early
}

// Cuts returns how many answers were lost.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Down closes every connection and takes no more.
func (p *Proxy) Down() {
	_ = p.l.Close()
	p.CutAll()
}

// CutAll closes every connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// serve copies in both directions until one ends.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var doomed sync.Once
	cut := make(chan struct{}) // closed when the next answer is to be lost
	var both sync.WaitGroup
	both.Go(func() {
		p.copy(server, client, func(b []byte) bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.armed == nil || !bytes.Contains(b, p.armed) {
				return true
			}
			p.armed = nil
			if p.early {
				p.cuts++
				_, _ = server.Write(b) // what of it arrives is the point
				return false
			}
			doomed.Do(func() { close(cut) })
			return true
		})
	})
	both.Go(func() {
		p.copy(client, server, func([]byte) bool {
			select {
			case <-cut:
				p.mu.Lock()
				defer p.mu.Unlock()
				p.cuts++
				return false
			default:
				return true
			}
		})
	})
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy passes on what it reads as long as pass says so, then closes both ends.
func (p *Proxy) copy(to, from net.Conn, pass func([]byte) bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !pass(b[:n]) {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
