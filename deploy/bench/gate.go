package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The limits of the gate, on 2 cores that serve and ask.
const (
	leastAnswers   = 30_000
	mostGateP99    = 5 * time.Millisecond
	leastOfNothing = 0.7
	gateClients    = 4
)

// gate asks a daemon that keeps many active tenants whether they may be served, by
// turns with a server of the same settings that answers 204 and does nothing. The
// questions are wrk's, which tells the daemon's answers that are none as errors.
func (b *bench) gate(ctx context.Context) error {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return fmt.Errorf("%w (Debian package wrk)", err)
	}
	n := b.sizes.kept
	gate, stop, err := b.serveGate(ctx, n)
	if err != nil {
		return err
	}
	defer stop()
	nothing, stopNothing, err := serveNothing(ctx)
	if err != nil {
		return err
	}
	defer stopNothing()
	for _, c := range []struct{ what, header string }{{"id", "X-Tenant-Id: " + gateID}, {"host name", "X-Forwarded-Host: " + gateHost}} {
		script := filepath.Join(b.dir, "questions.lua")
		if err := os.WriteFile(script, fmt.Appendf(nil, questions, n, c.header), 0o600); err != nil {
			return err
		}
		var rates, bare []float64
		var p99, p99Bare []time.Duration
		for range b.rounds {
			for _, side := range []struct {
				address string
				rates   *[]float64
				p99     *[]time.Duration
			}{{nothing, &bare, &p99Bare}, {gate, &rates, &p99}} {
				l, err := b.ask(ctx, wrk, script, side.address)
				if err != nil {
					return fmt.Errorf("by %s: %w", c.what, err)
				}
				*side.rates = append(*side.rates, l.Rate)
				*side.p99 = append(*side.p99, time.Duration(l.P99)*time.Microsecond)
			}
		}
		of := ratios(rates, bare)
		who := fmt.Sprintf("gate: by %s, %d tenants", c.what, n)
		b.table.atLeast(who+", answers", median(rates), leastAnswers, "%.0f", "/s")
		b.table.within(who+", p99 of an answer", median(p99), mostGateP99)
		b.table.took(who+", p99 of one that does nothing", median(p99Bare))
		b.table.atLeast(who+", answers against one that does nothing", median(of), leastOfNothing, "%.2f", "x")
	}
	return nil
}

// The ids and host names of tenants by their number, in Go and in Lua.
const (
	gateID   = "t-%07d-0000-4000-8000-000000000000"
	gateHost = "tenant-%07d.example.com"
)

// questions is the script of wrk: the number of tenants, and the header with one
// in it. All tenants are asked about, in an order that no cache foresees.
const questions = `
local n, i = %d, 0
function setup(thread) n0 = (n0 or 0) + 1; thread:set("first", n0 * 31337) end
function init() i = first end
function request()
	i = (i * 7919 + 104729) %% n
	return "GET /access HTTP/1.1\r\nHost: purger\r\n" .. string.format("%s", i) .. "\r\n\r\n"
end
function done(summary, latency)
	local e = summary.errors
	io.stderr:write(string.format('{"rate":%%f,"p99":%%d,"errors":%%d}\n', summary.requests / summary.duration * 1e6,
		latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
`

// load is what wrk tells; times are in microseconds.
type load struct {
	Rate   float64 `json:"rate"`
	P99    int64   `json:"p99"`
	Errors int64   `json:"errors"`
}

// ask makes one round.
func (b *bench) ask(ctx context.Context, wrk, script, address string) (load, error) {
	seconds := max(1, int((4 * b.sizes.second).Seconds()))
	cmd := exec.CommandContext(ctx, wrk, "-t2", fmt.Sprintf("-c%d", gateClients), fmt.Sprintf("-d%ds", seconds), "-s", script, "http://"+address+"/access")
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	if err := cmd.Run(); err != nil {
		return load{}, fmt.Errorf("wrk: %w: %s%s", err, out.Bytes(), told.Bytes())
	}
	var l load
	if err := json.Unmarshal(told.Bytes(), &l); err != nil {
		return load{}, fmt.Errorf("wrk: %w in %q", err, told.Bytes())
	}
	if l.Errors > 0 {
		return load{}, fmt.Errorf("wrk counts %d errors: %s", l.Errors, out.Bytes())
	}
	return l, nil
}
