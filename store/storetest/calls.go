package storetest

import (
	"context"
	"io"
	"time"

	"github.com/tenantpurge/purger/store"
)

// method is one call of the store, with arguments for which it would work.
type method func(ctx context.Context) error

// changes returns a call of every method that changes something.
func changes(s store.Store) map[string]method {
	tok := store.Token{TenantID: "claimed", Fence: 1}
	m := map[string]method{
		"Create": func(ctx context.Context) error { _, err := s.Create(ctx, store.Tenant{ID: "new"}, by(t0)); return err },
		"Update": func(ctx context.Context) error {
			_, err := s.Update(ctx, "active", store.Update{Origin: by(t0), Change: store.SetHold("r", time.Time{})})
			return err
		},
		"Claim": func(ctx context.Context) error { _, err := s.Claim(ctx, "waiting", request(farFuture)); return err },
		"Inline": func(ctx context.Context) error {
			_, err := s.Claim(ctx, "waiting", request(farFuture, inline))
			return err
		},
		"Resume": func(ctx context.Context) error { _, err := s.Resume(ctx, "top", request(farFuture)); return err },
		"Record": func(ctx context.Context) error { return s.Record(ctx, tok, store.Advance{At: t0, Lease: lease}) },
		"Erase":  func(ctx context.Context) error { _, err := s.Erase(ctx, tok, t0, lease); return err },
		"Finish": func(ctx context.Context) error { _, err := s.Finish(ctx, tok, store.Verification{At: t0}); return err },
		"Postpone": func(ctx context.Context) error {
			_, err := s.Postpone(ctx, tok, store.Failure{At: t0, Err: io.EOF, Next: t0})
			return err
		},
		"Yield":  func(ctx context.Context) error { return s.Yield(ctx, tok, t0) },
		"Await":  func(ctx context.Context) error { return s.Await(ctx, tok, store.Wait{At: t0, Until: t0}) },
		"Hasten": func(ctx context.Context) error { _, err := s.Hasten(ctx, t0, nil); return err },
		"ChangeGates": func(ctx context.Context) error {
			_, err := s.ChangeGates(ctx, store.PausePurging("r", time.Time{}), by(t0))
			return err
		},
		"RecordRun": func(ctx context.Context) error { return s.RecordRun(ctx, run(7)) },
	}
	if d, ok := s.(store.Directory); ok {
		m["Put"] = func(ctx context.Context) error {
			return d.Put(ctx, []store.Resource{resource("active", store.KindUser, "new")})
		}
		m["Remove"] = func(ctx context.Context) error { return d.Remove(ctx, "active", store.KindUser, "user-0") }
	}
	if imp, ok := s.(store.Importer); ok {
		m["BeginImport"] = func(ctx context.Context) error { return imp.BeginImport(ctx, store.Import{Digest: "d"}, by(t0)) }
		m["ImportBatch"] = func(ctx context.Context) error { _, err := imp.ImportBatch(ctx, importBatch(), by(t0)); return err }
		m["EndImport"] = func(ctx context.Context) error { return imp.EndImport(ctx, by(t0)) }
	}
	if c, ok := s.(store.Compacter); ok {
		m["Compact"] = func(ctx context.Context) error { _, err := c.Compact(ctx); return err }
	}
	if a, ok := s.(store.Approver); ok {
		m["RequestApproval"] = func(ctx context.Context) error {
			_, err := a.RequestApproval(ctx, deletion("active"), by(due10))
			return err
		}
		m["DecideApproval"] = func(ctx context.Context) error { _, err := a.DecideApproval(ctx, "a", approves, by(due10)); return err }
	}
	if r, ok := s.(store.Replayer); ok {
		m["BeginReplay"] = func(ctx context.Context) error { _, err := r.BeginReplay(ctx, attempt("k", "a", t0)); return err }
		m["KeepReplay"] = func(ctx context.Context) error { return r.KeepReplay(ctx, attempt("k", "a", t0), store.Answer{}, t0) }
		m["DropReplay"] = func(ctx context.Context) error { return r.DropReplay(ctx, attempt("k", "a", t0), t0) }
	}
	if f, ok := s.(store.Forgetter); ok {
		m["Forget"] = func(ctx context.Context) error { return f.Forget(ctx, t0) }
	}
	return m
}

// reads returns a call of every method that changes nothing.
func reads(s store.Store) map[string]method {
	m := map[string]method{
		"Tenant":    func(ctx context.Context) error { _, err := s.Tenant(ctx, "active"); return err },
		"Tombstone": func(ctx context.Context) error { _, err := s.Tombstone(ctx, "purged"); return err },
		"Tenants":   func(ctx context.Context) error { _, err := s.Tenants(ctx, store.Filter{}); return err },
		"Due":       func(ctx context.Context) error { _, err := s.Due(ctx, farFuture, store.Cursor{}, 10); return err },
		"Resumable": func(ctx context.Context) error { _, err := s.Resumable(ctx, farFuture, store.Cursor{}, 10); return err },
		"Assess":    func(ctx context.Context) error { _, err := s.Assess(ctx, "waiting", request(t0)); return err },
		"Gates":     func(ctx context.Context) error { _, err := s.Gates(ctx); return err },
		"Audit":     func(ctx context.Context) error { _, err := s.Audit(ctx, 1, 10); return err },
		"Receipt":   func(ctx context.Context) error { _, err := s.Receipt(ctx, "purged"); return err },
		"Runs":      func(ctx context.Context) error { _, err := s.Runs(ctx, 10); return err },
		"Stats":     func(ctx context.Context) error { _, err := s.Stats(ctx, t0); return err },
		"Backup":    func(ctx context.Context) error { _, err := s.Backup(ctx, io.Discard); return err },
		"Check":     s.Check,
	}
	if d, ok := s.(store.Directory); ok {
		m["List"] = func(ctx context.Context) error { _, err := d.List(ctx, "active", store.KindUser, "", 10); return err }
		m["Count"] = func(ctx context.Context) error { _, err := d.Count(ctx, "active"); return err }
	}
	if a, ok := s.(store.Approver); ok {
		m["Approval"] = func(ctx context.Context) error { _, err := a.Approval(ctx, "a", t0); return err }
		m["Approvals"] = func(ctx context.Context) error { _, err := a.Approvals(ctx, t0); return err }
	}
	if imp, ok := s.(store.Importer); ok {
		m["Compare"] = func(ctx context.Context) error { _, err := imp.Compare(ctx, importBatch()); return err }
	}
	return m
}
