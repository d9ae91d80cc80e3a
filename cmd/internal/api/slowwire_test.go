package api

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// byteASecond writes a byte each second until the other end has had enough.
func byteASecond(conn io.Writer, s string) {
	for i := range len(s) {
		if _, err := io.WriteString(conn, s[i:i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// TestSlow_WhatTricklesEndsWithItsPhase sends each part of a request a byte a
// second: no byte prolongs the time that the part has as a whole.
func TestSlow_WhatTricklesEndsWithItsPhase(t *testing.T) {
	const put = "PUT /api/v1/tenants/acme HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		at, slow string
		status   int // 0: none, or that of net/http for half a head
		after    time.Duration
	}{
		"the request line":     {"", "GET /api/v1/status HTTP/1.1\r\nHost: purger\r\n\r\n", 0, headerTimeout},
		"a header":             {"GET /api/v1/status HTTP/1.1\r\nHost: purger\r\nX-Other: ", strings.Repeat("x", 100), 0, headerTimeout},
		"many headers":         {"GET /api/v1/status HTTP/1.1\r\nHost: purger\r\n", strings.Repeat("X:y\r\n", 100), 0, headerTimeout},
		"a body":               {put + "Content-Length: 1000\r\n\r\n", strings.Repeat(" ", 100), http.StatusRequestTimeout, bodyTimeout},
		"a chunk":              {put + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n", strings.Repeat(" ", 100), http.StatusRequestTimeout, bodyTimeout},
		"chunks of a byte":     {put + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n \r\n", 100), http.StatusRequestTimeout, bodyTimeout},
		"the size of a chunk":  {put + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("0", 10) + ";" + strings.Repeat("x", 100), http.StatusRequestTimeout, bodyTimeout},
		"the trailers":         {put + "Transfer-Encoding: chunked\r\n\r\n0\r\n", strings.Repeat("X:y\r\n", 100), http.StatusBadRequest, bodyTimeout},
		"a body of a stranger": {"PUT /nowhere HTTP/1.1\r\nHost: purger\r\nContent-Length: 1000\r\n\r\n", strings.Repeat(" ", 100), http.StatusNotFound, bodyTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := connect(t, newRig(t).handler)
			began := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				if _, err := io.WriteString(conn, c.at); err == nil {
					byteASecond(conn, c.slow)
				}
			}()
			status, body, _ := took(t, conn)
			after := time.Since(began)
			if c.status == 0 && status == http.StatusBadRequest {
				status = 0
			}
			if status != c.status || after > c.after || c.status != http.StatusNotFound && after != c.after {
				t.Errorf("%s: status %d after %s, want %d after %s: %.100s", name, status, after, c.status, c.after, body)
			}
			conn.Close()
			<-done
		})
	}
}

// TestSlow_AnAnswerThatIsReadInTricklesEnds reads a byte of an answer each second: a
// write of it has its time as a whole, too.
func TestSlow_AnAnswerThatIsReadInTricklesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		keep, logs := logged()
		keep(&r.options)
		conn := connect(t, New(r.options))
		write(t, conn, get("GET /api/v1/status"))
		began := time.Now()
		buf := make([]byte, 1)
		n := 0
		for {
			if _, err := conn.Read(buf); err != nil {
				break
			}
			n++
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if took := time.Since(began); took > 2*stallTimeout || n > 130 || logs.FilterMessage("request").Len() != 1 {
			t.Errorf("%d bytes in %s, %d requests ended", n, took, logs.FilterMessage("request").Len())
		}
	})
}

// TestSlow_RealConnectionsEndAsWell does the same with sockets and short times: 48
// callers that never come to an end take nothing away from one that does.
func TestSlow_RealConnectionsEndAsWell(t *testing.T) {
	w := newWires(t)
	w.create(t, client.NewTenant{ID: "acme"})
	w.address = serveTCP(t, w.handler, func(s *http.Server) { s.ReadHeaderTimeout, s.IdleTimeout = 300*time.Millisecond, 300*time.Millisecond })
	begun := map[net.Conn]string{}
	for _, begin := range []string{"", "GET /api/v1/status HTT", "GET /api/v1/status HTTP/1.1\r\nHost: purger\r\nX-Other: x", get("GET /api/v1/status")[:40]} {
		for range 12 {
			conn := w.dial(t, "tcp")
			begun[conn] = begin
			if _, err := io.WriteString(conn, begin); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := answersOf(t, w.send(t, "tcp", get("GET /api/v1/tenants/acme"))); len(a) != 1 || a[0].status != http.StatusOK {
		t.Errorf("beside them: %+v", a)
	}
	for conn, begin := range begun {
		if b, err := io.ReadAll(conn); err != nil || strings.HasPrefix(string(b), "HTTP/1.1 200") {
			t.Errorf("%q: %q, %v; want the end", begin, b, err)
		}
		conn.Close()
	}
}
