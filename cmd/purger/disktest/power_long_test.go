//go:build long

package disktest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/client"
)

// powerRounds is how often the power is cut.
const powerRounds = 10

// What was acknowledged is there after a power failure, whatever was under way:
// changes, imports, purges, compactions, backups, the note of the configuration.
func TestPowerFailure_G7_NothingAcknowledgedIsLost(t *testing.T) {
	if !private(t, "xfs_io", "mkfs.ext4", "strace") {
		return
	}
	w := newPowered(t)
	for round := range powerRounds {
		w.round(round, nil)
		if lost := w.judge(); len(lost) > 0 {
			t.Fatalf("round %d:\n%s", round, strings.Join(lost, "\n"))
		}
	}
	t.Logf("%d rounds: %s", powerRounds, w.ledger)
	for what, n := range map[string]int{"changes": w.changes, "imports": len(w.imported), "purges": len(w.purged), "compactions": w.compactions, "backups": w.judged} {
		if n < powerRounds/2 {
			t.Errorf("only %d %s were acknowledged", n, what)
		}
	}
}

// A compaction after which nothing else is written is there as a whole, and what
// was purged before it does not come back.
func TestPowerFailure_G13_AnAcknowledgedCompactionStays(t *testing.T) {
	if !private(t, "xfs_io", "mkfs.ext4") {
		return
	}
	image := filepath.Join(t.TempDir(), "image")
	disk := loopDisk(t, image, "256m")
	dir, cfg := filepath.Join(disk, "data"), config(t, never, "store: {compactAfter: 0s}")
	purger(t, 0, "--data-dir", dir, "--config", cfg, "import", forest{due: 20, active: 20, resources: 50, bytes: 1000}.write(t, t.TempDir()))
	purger(t, 0, "--data-dir", dir, "--config", cfg, "run")
	d := daemon(t, nil, dir, "--config", cfg)
	done, err := connect(t, dir).Compact(context.Background())
	must(t, err)
	shutdown(t, disk)
	d.kill()
	command(t, "umount", disk)
	mountLoop(t, image, disk)
	info, err := os.Stat(filepath.Join(dir, "purger.db"))
	must(t, err)
	if info.Size() != done.After || done.After >= done.Before {
		t.Errorf("the file has %d bytes; it was compacted from %d to %d", info.Size(), done.Before, done.After)
	}
	out, _ := purger(t, 0, "--data-dir", dir, "store", "stats")
	wants(t, out, `1,000 users`)
	sound(t, dir)
}

// The control of the first test: where syncing does nothing, it finds losses.
func TestPowerFailure_WithoutSyncTheTestFindsLosses(t *testing.T) {
	if !private(t, "xfs_io", "mkfs.ext4", "strace") {
		return
	}
	w := newPowered(t)
	w.round(0, []string{
		"strace", "-f", "--seccomp-bpf", "-q", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=fdatasync,fsync,sync_file_range",
		"-e", "inject=fdatasync,fsync,sync_file_range:retval=0",
	})
	lost := w.judge()
	if len(lost) == 0 {
		t.Fatalf("nothing is lost without syncing: %s", w.ledger)
	}
	t.Logf("%s; lost: %d, first: %s", w.ledger, len(lost), lost[0])
}

// ledger is what was acknowledged.
type ledger struct {
	mu sync.Mutex
	// versions are those of tenants that clients deactivate and reactivate, each
	// by one client: even ones are disabled.
	versions    map[string]int64
	imported    map[string]bool // tenants
	purged      map[string]bool
	backups     map[string]uint64 // file -> entries of the audit trail at least
	changes     int
	compactions int
	judged      int // backups that were looked at
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d changes, %d tenants imported, %d purged, %d compactions and %d backups acknowledged",
		l.changes, len(l.imported), len(l.purged), l.compactions, l.judged+len(l.backups))
}

// powered is a store on a disk whose power is cut.
type powered struct {
	*ledger
	t           *testing.T
	image, disk string
	dir, cfg    string
}

// toggled is how many tenants the clients change.
const toggled = 40

func newPowered(t *testing.T) *powered {
	t.Helper()
	p := &powered{t: t, image: filepath.Join(t.TempDir(), "image"), ledger: &ledger{
		versions: map[string]int64{}, imported: map[string]bool{}, purged: map[string]bool{}, backups: map[string]uint64{},
	}}
	p.disk = loopDisk(t, p.image, "512m")
	p.dir = filepath.Join(p.disk, "data")
	p.cfg = config(t, never, "store: {compactAfter: 0s}")
	purger(t, 0, "--data-dir", p.dir, "--config", p.cfg, "import", forest{active: toggled, resources: 20, bytes: 200}.write(t, t.TempDir()))
	for i := range toggled {
		p.versions[fmt.Sprintf("active-%d", i)] = 1
	}
	return p
}

// round lets clients work with a daemon until the power is cut.
func (p *powered) round(n int, wrapper []string) {
	p.t.Helper()
	d := daemon(p.t, wrapper, p.dir, "--config", p.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for i := range 4 {
		c := connect(p.t, p.dir)
		work.Go(func() { p.toggle(ctx, c, i) })
	}
	for _, do := range []func(context.Context, *client.Client, int){p.importing, p.passes, p.compacting, p.backingUp} {
		c := connect(p.t, p.dir)
		work.Go(func() { do(ctx, c, n) })
	}
	<-time.After(500*time.Millisecond + rand.N(500*time.Millisecond))
	shutdown(p.t, p.disk)
	cancel()
	d.kill()
	work.Wait()
	command(p.t, "umount", p.disk)
	mountLoop(p.t, p.image, p.disk)
}

// toggle deactivates and reactivates a share of the tenants.
func (p *powered) toggle(ctx context.Context, c *client.Client, share int) {
	for ; ; <-time.After(time.Millisecond) {
		for i := share; i < toggled; i += 4 {
			id := fmt.Sprintf("active-%d", i)
			p.mu.Lock()
			disabled := p.versions[id]%2 == 0
			p.mu.Unlock()
			var err error
			if disabled {
				_, err = c.Reactivate(ctx, id)
			} else {
				_, err = c.Deactivate(ctx, id, client.DeactivateRequest{})
			}
			if err != nil {
				return
			}
			p.mu.Lock()
			p.versions[id]++
			p.changes++
			p.mu.Unlock()
		}
	}
}

// importing imports small files, half of them due.
func (p *powered) importing(ctx context.Context, c *client.Client, round int) {
	for i := 0; ; i++ {
		var ids []string
		var b strings.Builder
		for j := range 4 {
			id := fmt.Sprintf("r%d-%d-%d", round, i, j)
			status := `"status":"active"`
			if j%2 == 0 {
				status = `"status":"disabled","disabledAt":"2020-01-01T10:00:00.000Z","purgeAfterDays":30`
			}
			fmt.Fprintf(&b, `{"type":"tenant","id":%q,"parentId":"",%s}`+"\n"+`{"type":"user","tenantId":%q,"id":"u"}`+"\n", id, status, id)
			ids = append(ids, id)
		}
		if sum, err := c.Import(ctx, strings.NewReader(b.String()), client.ImportOptions{Supersede: true}, nil); err != nil || !sum.Complete {
			return
		}
		p.mu.Lock()
		for _, id := range ids {
			p.imported[id] = true
		}
		p.mu.Unlock()
	}
}

// passes makes one pass after the other.
func (p *powered) passes(ctx context.Context, c *client.Client, _ int) {
	for ; ; <-time.After(20 * time.Millisecond) {
		r, err := c.Run(ctx, purge.TriggerRun)
		if err != nil {
			return
		}
		p.mu.Lock()
		for _, row := range r.Tenants {
			if row.Outcome == purge.OutcomeDeleted {
				p.purged[row.ID] = true
			}
		}
		p.mu.Unlock()
	}
}

// compacting compacts now and then.
func (p *powered) compacting(ctx context.Context, c *client.Client, _ int) {
	for ; ; <-time.After(150 * time.Millisecond) {
		if _, err := c.Compact(ctx); err != nil {
			return
		}
		p.mu.Lock()
		p.compactions++
		p.mu.Unlock()
	}
}

// backingUp makes backups on the same disk.
func (p *powered) backingUp(ctx context.Context, c *client.Client, round int) {
	for i := 0; ; i++ {
		s, err := c.StoreStats(ctx)
		if err != nil {
			return
		}
		path := filepath.Join(p.disk, fmt.Sprintf("backup-%d-%d.db", round, i))
		b := start(p.t, nil, "--data-dir", p.dir, "store", "backup", path)
		<-b.done
		if b.cmd.ProcessState.ExitCode() != 0 {
			return
		}
		p.mu.Lock()
		p.backups[path] = s.AuditHead.Seq
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
