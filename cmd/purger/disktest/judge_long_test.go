//go:build long

package disktest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// judge compares the disk with what was acknowledged, and takes from it what was
// under way when the power was cut.
func (p *powered) judge() (lost []string) {
	p.t.Helper()
	lose := func(format string, args ...any) { lost = append(lost, fmt.Sprintf(format, args...)) }
	note, err := os.ReadFile(filepath.Join(p.dir, "served-with"))
	if err != nil || strings.TrimSpace(string(note)) != p.cfg {
		lose("the note of the configuration says %q (%v)", note, err)
	}
	ctx := context.Background()
	s, err := boltstore.Open(ctx, boltstore.Options{Dir: p.dir})
	if err != nil {
		return append(lost, fmt.Sprintf("the store does not open: %v", err))
	}
	defer func() { must(p.t, s.Close()) }()
	if err := s.Check(ctx); err != nil {
		lose("check: %v", err)
	}
	for id, version := range p.versions {
		t, err := s.Tenant(ctx, id)
		disabled := t.Version%2 == 0
		switch {
		case err != nil:
			lose("%s: %v", id, err)
		case t.Version < version, t.Version > version+1, disabled != (t.Status == store.StatusDisabled):
			lose("%s has version %d and is %s; version %d was acknowledged", id, t.Version, t.Status, version)
		}
		p.versions[id] = max(t.Version, version)
	}
	for id := range p.imported {
		if _, err := s.Tenant(ctx, id); err != nil && store.CodeOf(err) != store.Gone {
			lose("%s was imported: %v", id, err)
		}
	}
	for id := range p.purged {
		r, err := s.Receipt(ctx, id)
		if err != nil || !r.CountsExact || r.Deleted.Users != 1 {
			lose("%s was purged: %+v, %v", id, r, err)
		}
	}
	for path, seq := range p.backups {
		if err := p.whole(path, seq); err != nil {
			lose("%s: %v", path, err)
		}
		if err := os.Remove(path); err == nil { // each is judged once
			p.judged++
		}
		delete(p.backups, path)
	}
	return lost
}

// whole returns an error unless the file is a backup with so many entries in its
// audit trail.
func (p *powered) whole(path string, seq uint64) (err error) {
	dir := p.t.TempDir()
	if err := p.copy(path, filepath.Join(dir, boltstore.FileName)); err != nil {
		return err
	}
	s, err := boltstore.Open(context.Background(), boltstore.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { must(p.t, s.Close()) }()
	stats, err := s.Stats(context.Background(), time.Now())
	if err != nil {
		return err
	}
	if stats.AuditHead.Seq < seq {
		return fmt.Errorf("it has %d audit entries, want %d", stats.AuditHead.Seq, seq)
	}
	return s.Check(context.Background())
}

func (p *powered) copy(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
