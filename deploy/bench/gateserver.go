package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/ndjson"
)

// serveNothing serves the settings of purger's server, and nothing else.
func serveNothing(ctx context.Context) (address string, stop func(), err error) {
	return serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
}

// serve serves a handler on loopback, with the settings of purger's server.
func serve(ctx context.Context, h http.Handler) (address string, stop func(), err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	go func() { _ = srv.Serve(l) }() // until it is closed
	return l.Addr().String(), func() { _ = srv.Close() }, nil
}

// serveGate starts a daemon, as it is shipped, that keeps n active tenants in trees
// of ten.
func (b *bench) serveGate(ctx context.Context, n int64) (address string, stop func(), err error) {
	binary, data := filepath.Join(b.dir, "purger"), filepath.Join(b.dir, "gate")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/tenantpurge/purger/cmd/purger")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if err := b.fillGate(ctx, data, n); err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary, "serve", "--data-dir", data, "--web.listen-address", "127.0.0.1:0")
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, err
	}
	stop = func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}
	log := bufio.NewScanner(out)
	for log.Scan() {
		var line struct {
			Msg string   `json:"msg"`
			Web []string `json:"web"`
		}
		if json.Unmarshal(log.Bytes(), &line) == nil && line.Msg == "purger is ready" && len(line.Web) == 1 {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until it is killed
			return line.Web[0], stop, nil
		}
	}
	stop()
	return "", nil, errors.New("the daemon ended before it was ready")
}

// fillGate makes a store of n active tenants.
func (b *bench) fillGate(ctx context.Context, dir string, n int64) error {
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err != nil {
		return err
	}
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriter(out)
		for i := range n {
			parent := ""
			if i%10 > 0 {
				parent = fmt.Sprintf(`"parentId":"`+gateID+`",`, i-i%10)
			}
			if _, err := fmt.Fprintf(w, `{"type":"tenant","id":"`+gateID+`",%s"hostname":"`+gateHost+`","status":"active"}`+"\n", i, parent, i); err != nil {
				break // whoever reads has an error of his own
			}
		}
		_ = out.CloseWithError(w.Flush()) // never fails
	}()
	sum, err := ndjson.Import(ctx, ndjson.ImportOptions{Store: s, Input: in, TempDir: b.dir, Actor: store.Actor{ID: "bench"}})
	_ = in.Close() // never fails
	if err == nil && sum.Lines != n {
		err = fmt.Errorf("imported %d lines of %d", sum.Lines, n)
	}
	return errors.Join(err, s.Close())
}
