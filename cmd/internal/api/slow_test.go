package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// connect returns a bare connection to a handler in process.
func connect(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	l := InProcess(watch(t, h))
	conn, err := l.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return conn
}

// took reads an answer and returns how long that took.
func took(t *testing.T, conn net.Conn) (status int, body string, after time.Duration) {
	t.Helper()
	began := time.Now()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error(), time.Since(began)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(b), time.Since(began)
}

// write writes to a pipe whose other end may stop to read.
func write(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatal(err)
	}
}

func TestSlow_HeadersThatDoNotComeCloseTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, newRig(t).handler)
		write(t, conn, "GET /api/v1/status HTTP/1.1\r\nHost: purger\r\n")
		status, _, after := took(t, conn)
		if status == http.StatusOK || after != headerTimeout {
			t.Errorf("status %d after %s, want none after %s", status, after, headerTimeout)
		}
	})
}

func TestSlow_ABodyThatDoesNotComeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, newRig(t).handler)
		write(t, conn, "POST /api/v1/tenants HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":")
		status, body, after := took(t, conn)
		if status != http.StatusRequestTimeout || after != bodyTimeout || !strings.Contains(body, string(store.Unavailable)) {
			t.Errorf("status %d after %s: %s", status, after, body)
		}
	})
}

func TestSlow_ABodyThatTricklesIsRefusedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, newRig(t).handler)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.WriteString(conn, "POST /api/v1/tenants HTTP/1.1\r\nHost: purger\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
			for {
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		if status, body, after := took(t, conn); status != http.StatusRequestTimeout || after != bodyTimeout {
			t.Errorf("status %d after %s: %s", status, after, body)
		}
		conn.Close()
		<-done
	})
}

func TestSlow_ARefusalDoesNotWaitForABodyForEver(t *testing.T) {
	for _, path := range []string{"/nowhere", "/api/v1/status", "/api/v1/tenants?x=y", "/api/v1/import"} {
		synctest.Test(t, func(t *testing.T) {
			conn := connect(t, newRig(t).handler)
			write(t, conn, "POST "+path+" HTTP/1.1\r\nHost: purger\r\nContent-Length: 100\r\n\r\n")
			status, body, after := took(t, conn)
			if status < 400 || status > 415 || after > bodyTimeout {
				t.Errorf("%s: status %d after %s: %s", path, status, after, body)
			}
		})
	}
}

func TestSlow_AnImportThatStallsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn := connect(t, r.handler)
		write(t, conn, "POST /api/v1/import HTTP/1.1\r\nHost: purger\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
		status, body, after := took(t, conn)
		if status != http.StatusOK || !strings.Contains(body, `{"error":{"errors":[{"code":"`) || after != streamTimeout {
			t.Errorf("status %d after %s: %s", status, after, body)
		}
	})
}

func TestSlow_AnAnswerThatIsNotReadEndsTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		keep, logs := logged()
		keep(&r.options)
		conn := connect(t, New(r.options))
		write(t, conn, "GET /api/v1/status HTTP/1.1\r\nHost: purger\r\n\r\n")
		began := time.Now()
		time.Sleep(stallTimeout - time.Millisecond)
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		buf := make([]byte, 1)
		if n, err := conn.Read(buf); err == nil {
			t.Errorf("the server still writes after %s: %d bytes", time.Since(began), n)
		}
		if logs.FilterMessage("request").Len() != 1 {
			t.Error("the request has not ended")
		}
	})
}

func TestSlow_AnIdleConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := connect(t, newRig(t).handler)
		write(t, conn, "GET /api/v1/plan?x HTTP/1.1\r\nHost: purger\r\n\r\n")
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		began := time.Now()
		if _, err := in.ReadByte(); err != io.EOF || time.Since(began) != idleTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestSlow_ACallThatWaitsOutlivesEveryTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Engine = &sleeping{Engine: o.Engine} }).inProcess(t)
		began := time.Now()
		for range 2 { // the second on the same connection
			if _, err := r.Plan(t.Context()); err != nil {
				t.Fatal(err)
			}
			if res := raw(t, r, "POST /api/v1/purges?wait=true", "{}"); res.status != http.StatusOK {
				t.Errorf("with a body: status %d: %s", res.status, res.body)
			}
		}
		if got := time.Since(began); got != 4*time.Hour {
			t.Errorf("after %s", got)
		}
	})
}

// sleeping is an engine whose plans and passes take an hour.
type sleeping struct{ Engine }

func (s *sleeping) Plan(ctx context.Context) (client.Report, error) {
	if err := sleep(ctx); err != nil {
		return client.Report{}, err
	}
	return s.Engine.Plan(ctx)
}

func (s *sleeping) Run(ctx context.Context, t purge.Trigger) (client.Report, error) {
	if err := sleep(ctx); err != nil {
		return client.Report{}, err
	}
	return s.Engine.Run(ctx, t)
}

// sleep sleeps for an hour, unless the caller leaves.
func sleep(ctx context.Context) error {
	select {
	case <-time.After(time.Hour):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestClient_AContextThatEndsIsInTheError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Engine = &sleeping{Engine: o.Engine} }).inProcess(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := r.Plan(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		wantCode(t, err, store.Unavailable)
	})
}

// laborious is a store that takes an hour to begin an import.
type laborious struct{ *boltstore.Store }

func (l *laborious) BeginImport(ctx context.Context, imp store.Import, o store.Origin) error {
	if err := sleep(ctx); err != nil {
		return err
	}
	return l.Store.BeginImport(ctx, imp, o)
}

func TestSlow_AnImportMayTakeLongerThanItsInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Store = &laborious{o.Store.(*boltstore.Store)} }).inProcess(t)
		in := `{"type":"tenant","id":"kept","parentId":"","name":"","hostname":"","status":"active","activeSubscriptions":0}`
		if sum, err := r.Import(t.Context(), strings.NewReader(in), client.ImportOptions{}, nil); err != nil || sum.Tenants.New != 1 {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

func TestImport_ACallerThatLeavesAfterItsInputEndsTheImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Store = &laborious{o.Store.(*boltstore.Store)} }).inProcess(t)
		in := `{"type":"tenant","id":"kept","parentId":"","name":"","hostname":"","status":"active","activeSubscriptions":0}`
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := r.Import(ctx, strings.NewReader(in), client.ImportOptions{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		synctest.Wait() // the server has seen it
		if _, err := r.Import(t.Context(), strings.NewReader(in), client.ImportOptions{DryRun: true}, nil); err != nil {
			t.Errorf("the import goes on: %v", err)
		}
		if _, err := r.Tenant(t.Context(), "kept", false); store.CodeOf(err) != store.NotFound {
			t.Errorf("it was written: %v", err)
		}
	})
}
