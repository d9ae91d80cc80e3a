package ndjson

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestImport_SortingLeavesRoomForTheStore(t *testing.T) {
	s, dir := openStore(t), t.TempDir()
	var lines strings.Builder
	for range 3000 {
		lines.WriteString(activeLine("t-"+strings.Repeat("x", 100), ""))
	}
	im, err := newImport(ImportOptions{Store: s, Input: strings.NewReader(lines.String()), TempDir: dir, MemoryLimit: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, sorter := range []*sorter{im.tenants, im.parents, im.resources, im.output} {
		sorter.free = func(*os.File) (int64, error) { return spareSpace, nil }
	}
	before := auditHead(t, s)
	err = errors.Join(im.run(t.Context()), im.close())
	var full *store.SpaceError
	if !errors.As(err, &full) || full.Dir != dir || full.Free != spareSpace || full.Want <= spareSpace || store.CodeOf(err) != store.Exhausted {
		t.Fatalf("%v", err)
	}
	if !strings.HasPrefix(err.Error(), "write temporary file for sorting: the disk of "+dir+" has 64.0 MiB of room, want ") {
		t.Errorf("%v", err)
	}
	if auditHead(t, s) != before || gateClosed(t, s) {
		t.Error("something was written")
	}
}

// crowdedGates is a store without room.
type crowdedGates struct{ ImportStore }

func (c crowdedGates) Gates(ctx context.Context) (store.Gates, error) {
	g, err := c.ImportStore.Gates(ctx)
	g.Space = &store.Space{Dir: "/data", Free: 1, Want: 2}
	return g, err
}

func TestImport_WithoutRoomInTheStoreReadsNothing(t *testing.T) {
	s := openStore(t)
	in := strings.NewReader(sample())
	_, err := Import(t.Context(), ImportOptions{Store: crowdedGates{s}, Input: in})
	if store.CodeOf(err) != store.Exhausted || in.Len() != len(sample()) {
		t.Errorf("%v, %d bytes are left", err, in.Len())
	}
	if _, err := Import(t.Context(), ImportOptions{Store: crowdedGates{s}, Input: in, DryRun: true}); err != nil {
		t.Errorf("a dry run: %v", err)
	}
}

func TestFreeSpace_IsThatOfTheFilesDisk(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if free, err := freeSpace(f); err != nil || free <= 0 {
		t.Errorf("%d, %v", free, err)
	}
	f.Close()
	if _, err := freeSpace(f); err == nil {
		t.Error("a closed file has a disk")
	}
}
