// Command bench measures what purger promises about speed and size, on the
// machine and the disk where it runs, and prints a table:
//
//	go run ./deploy/bench            about 6 minutes and 8 GB of disk
//	go run ./deploy/bench -short     a minute, with smaller stores
//
// What is compared is measured by turns in one run, so that a machine with other
// work slows both sides; a value is the median of the rounds. Limits that are
// ratios hold on any machine; those in seconds depend on the disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tenantpurge/purger/purge/postgrestarget/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitBeyond = 1 // -check, and a limit does not hold
	exitFailed = 2
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	names := make([]string, 0, len(measures()))
	for _, m := range measures() {
		names = append(names, m.name)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	short := fs.Bool("short", false, "use smaller stores and fewer rounds")
	only := fs.String("only", "", "measure only these, separated by commas: "+strings.Join(names, ", "))
	rounds := fs.Int("rounds", 0, "how often to measure each side (default 5, with -short 3)")
	dir := fs.String("dir", "", "where to put the stores and a database, best on the disk that the daemon will use (default the system's temporary directory)")
	check := fs.Bool("check", false, "exit 1 when a limit does not hold")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitOK
	} else if err != nil {
		return exitFailed
	}
	chosen := measures()
	if *only != "" {
		wanted := strings.Split(*only, ",")
		for _, name := range wanted {
			if !slices.Contains(names, name) {
				fmt.Fprintf(stderr, "bench: -only %s: want some of %s\n", name, strings.Join(names, ", "))
				return exitFailed
			}
		}
		chosen = slices.DeleteFunc(chosen, func(m measure) bool { return !slices.Contains(wanted, m.name) })
	}
	if fs.NArg() > 0 || *rounds < 0 {
		fs.Usage()
		return exitFailed
	}
	tmp, err := os.MkdirTemp(*dir, "purger-bench-")
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	b := newBench(tmp, *short, *rounds, stderr)
	b.disk = *dir
	beyond, err := b.all(ctx, chosen, *only != "", stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	case beyond > 0 && *check:
		return exitBeyond
	}
	return exitOK
}

// measure is one thing that is measured.
type measure struct {
	name string
	run  func(*bench, context.Context) error
}

// measures returns all, those that share a store together.
func measures() []measure {
	return []measure{
		{"forest", (*bench).forest},
		{"cold", (*bench).cold},
		{"commit", (*bench).commit},
		{"beside", (*bench).beside},
		{"idle", (*bench).idle},
		{"giant", (*bench).giant},
		{"open", (*bench).open},
		{"import", (*bench).importing},
		{"gate", (*bench).gate},
		{"postgres", (*bench).postgres},
		{"rest", (*bench).rest},
	}
}

// bench is one run.
type bench struct {
	dir    string
	disk   string // what has another owner goes there; "" is the temporary directory
	sizes  sizes
	rounds int
	slow   int // rounds of what takes long
	log    io.Writer
	table  table
	made   map[string]string // stores by name, closed
}

// sizes are how large the stores are.
type sizes struct {
	roots, users, lines, kept int64
	besideRoots               int64
	sqlRoots, calls           int64
	second                    time.Duration // of one round with clients
}

func newBench(dir string, short bool, rounds int, log io.Writer) *bench {
	b := &bench{dir: dir, rounds: 5, slow: 3, log: log, made: map[string]string{}}
	b.sizes = sizes{roots: 2_000, users: 1_000_000, lines: 10_000_000, kept: 1_000_000, besideRoots: 2_000, sqlRoots: 2_000, calls: 50_000, second: time.Second}
	if short {
		b.rounds = 3
		b.sizes = sizes{roots: 400, users: 100_000, lines: 200_000, kept: 100_000, besideRoots: 800, sqlRoots: 200, calls: 20_000, second: time.Second / 2}
	}
	if rounds > 0 {
		b.rounds, b.slow = rounds, rounds
	}
	return b
}

// all measures what was chosen, prints the table, and returns how many limits do
// not hold. Where there is no PostgreSQL, what needs one is left out and that is
// said; when it was named it is an error.
func (b *bench) all(ctx context.Context, chosen []measure, named bool, out io.Writer) (beyond int, _ error) {
	began := time.Now()
	var left []string
	for _, m := range chosen {
		fmt.Fprintf(b.log, "%6.1fs  %s\n", time.Since(began).Seconds(), m.name)
		err := m.run(b, ctx)
		if errors.Is(err, pgtest.ErrMissing) && !named {
			left = append(left, fmt.Sprintf("Left out: %s: %v", m.name, err))
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", m.name, err)
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
	fmt.Fprintf(b.log, "%6.1fs  done\n", time.Since(began).Seconds())
	fmt.Fprintf(out, "%s\n", describe(b.dir))
	for _, line := range left {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	return b.table.print(out), nil
}
