package ndjson

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// importInBatches imports with transactions of few records.
func importInBatches(ctx context.Context, s ImportStore, text string, batch int) (Summary, error) {
	im, err := newImport(ImportOptions{Store: s, Input: strings.NewReader(text), Actor: importer, Now: now, MemoryLimit: 1})
	if err != nil {
		return Summary{}, err
	}
	im.batch = batch
	err = im.run(ctx)
	return im.sum, errors.Join(err, im.close())
}

// TestImport_InterruptedAnywhereIsCompletedByAnother stops an import before and
// after each of its writes: the gate is closed from the first to the last of
// them, and the same import again writes what is missing, nothing twice.
func TestImport_InterruptedAnywhereIsCompletedByAnother(t *testing.T) {
	data, err := io.ReadAll(newGenerator(120, 40))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	whole := openStore(t)
	mustImport(t, whole, text)
	want := exportText(t, whole)

	f := &flaky{Store: openStore(t)}
	if _, err := importInBatches(context.Background(), f, text, 17); err != nil {
		t.Fatal(err)
	}
	writes := len(f.calls)
	if writes != 2+8 {
		t.Fatalf("calls %v, want begin, 8 batches, end", f.calls)
	}
	for n := range writes {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, done %v", n, lost), func(t *testing.T) {
				s := openStore(t)
				f := &flaky{Store: s}
				fail := func(string) error {
					if len(f.calls) == n+1 {
						return errInjected
					}
					return nil
				}
				if lost {
					f.after = fail // it was written, and the answer was lost
				} else {
					f.before = fail
				}
				sum, err := importInBatches(context.Background(), f, text, 17)
				if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "run it again to complete it") {
					t.Fatalf("error is %v", err)
				}
				if sum.Complete {
					t.Errorf("summary %+v of an import that was interrupted", sum)
				}
				begun, ended := n > 0 || lost, n == writes-1 && lost
				if got := gateClosed(t, s); got != (begun && !ended) {
					t.Errorf("gate closed: %v", got)
				}
				again, err := importInBatches(context.Background(), s, text, 17)
				if err != nil {
					t.Fatal(err)
				}
				total := again.Tenants.New + again.Tenants.Unchanged + again.Resources.New + again.Resources.Unchanged
				if !again.Complete || gateClosed(t, s) || total != 120 {
					t.Errorf("again: %+v, gate closed: %v", again, gateClosed(t, s))
				}
				if written := int64(max(n-1, 0) * 17); again.Tenants.Unchanged+again.Resources.Unchanged < min(written, 120) {
					t.Errorf("again: %+v, but %d records had been written", again, written)
				}
				if got := exportText(t, s); got != want {
					t.Errorf("the export differs from that of an import in one go:\n%s", got)
				}
			})
		}
	}
}

// TestImport_G1_NothingIsClaimedOfAHalf has a due parent whose child, with a
// later date, is not there yet.
func TestImport_G1_NothingIsClaimedOfAHalf(t *testing.T) {
	s := openStore(t)
	text := disabledLine("parent", "", 10) + disabledLine("z-child", "parent", 90)
	later := disabledLine("z-child", "parent", 90)
	text = strings.Replace(text, later, strings.Replace(later, "2026-01-05", "2026-05-05", 1), 1)
	f := &flaky{Store: s}
	f.before = func(string) error {
		if len(f.calls) == 3 {
			return errInjected
		}
		return nil
	}
	if _, err := importInBatches(context.Background(), f, text, 1); !errors.Is(err, errInjected) {
		t.Fatalf("error is %v", err)
	}
	claim := store.ClaimRequest{Origin: store.Origin{Actor: importer, At: now}, Owner: "test", Inline: true}
	_, err := s.Claim(context.Background(), "parent", claim)
	var gate *store.GateError
	if !errors.As(err, &gate) || gate.Gate.Reason != store.GateImport {
		t.Fatalf("claim of a half: %v, want the gate", err)
	}
	mustImport(t, s, text)
	_, err = s.Claim(context.Background(), "parent", claim)
	var blocked *store.BlockedError
	if !errors.As(err, &blocked) || blocked.Block.Reason != store.BlockLaterDate || blocked.Block.By != "z-child" {
		t.Errorf("claim of the whole: %v, want the later date of the child", err)
	}
}

func TestImport_ContextEndsWhileWriting(t *testing.T) {
	s := openStore(t)
	ctx, cancel := context.WithCancel(context.Background())
	f := &flaky{Store: s}
	f.after = func(string) error {
		if len(f.calls) == 3 {
			cancel()
		}
		return nil
	}
	_, err := importInBatches(ctx, f, sample(), 2)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
	if len(f.calls) > 4 || !gateClosed(t, s) {
		t.Errorf("calls %v, gate closed: %v", f.calls, gateClosed(t, s))
	}
	if sum := mustImport(t, s, sample()); !sum.Complete || gateClosed(t, s) {
		t.Errorf("again: %+v", sum)
	}
}
