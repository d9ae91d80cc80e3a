package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantpurge/purger/store"
)

// maxAsked bounds the questions after a case with very many tenants, since each
// costs as much as its tenant is deep. Which are asked differs from run to run.
const maxAsked = 4000

// accessDefect returns how the gate's answers differ from the records and the
// receipts, "" when they do not or the store has no gate.
func accessDefect(ctx context.Context, s store.Store) (string, error) {
	g, ok := s.(store.Gatekeeper)
	if !ok {
		return "", nil
	}
	tenants, err := allTenants(ctx, s)
	if err != nil {
		return "", err
	}
	wants := accessByRecords(tenants)
	hosts := map[string][]string{}
	for i := range tenants {
		if h := strings.ToUpper(tenants[i].Hostname); h != "" {
			hosts[h] = append(hosts[h], tenants[i].ID)
		}
	}
	asked := 0
	for id, want := range wants {
		if asked++; asked > maxAsked {
			break
		}
		if got, err := g.Access(id); err != nil || got != want {
			return fmt.Sprintf("Access(%q): %+v, %v; by the records %+v", id, got, err, want), nil
		}
	}
	asked = 0
	for host, ids := range hosts {
		if asked++; asked > maxAsked {
			break
		}
		got, err := g.AccessByHost(host + ".")
		if err != nil || !fitsAll(wants, ids, got) {
			return fmt.Sprintf("AccessByHost(%q), which is that of %q: %+v, %v", host, ids, got, err), nil
		}
	}
	return purgedDefect(ctx, s, g)
}

// accessByRecords restates the rule: the nearest that is not active decides.
func accessByRecords(tenants []store.Tenant) map[string]store.Access {
	records := make(map[string]*store.Tenant, len(tenants))
	for i := range tenants {
		records[tenants[i].ID] = &tenants[i]
	}
	known := make(map[string]store.Access, len(tenants))
	for id := range records {
		var line []string // from the tenant up to the first whose answer is known
		above := store.Access{Allowed: true}
		for at := records[id]; at != nil; at = records[at.ParentID] {
			if a, ok := known[at.ID]; ok {
				above = a
				break
			}
			line = append(line, at.ID)
		}
		for _, below := range slices.Backward(line) {
			if st := records[below].Status; st != store.StatusActive {
				above = store.Access{Known: true, Status: st, By: below}
			} else if above.Allowed {
				above = store.Access{Known: true, Allowed: true, Status: st, By: below}
			}
			known[below] = above
		}
	}
	return known
}

// fitsAll reports whether an answer is right for the tenants that share a host
// name: that of one of them, and allowed when all are.
func fitsAll(wants map[string]store.Access, ids []string, got store.Access) bool {
	all, one := true, false
	for _, id := range ids {
		all = all && wants[id].Allowed
		one = one || wants[id] == got
	}
	return got.Allowed == all && one
}

// purgedDefect asks for everything that has a receipt.
func purgedDefect(ctx context.Context, s store.Store, g store.Gatekeeper) (string, error) {
	entries, err := auditFrom(ctx, s, 1)
	if err != nil {
		return "", err
	}
	for i := range entries {
		if entries[i].Action != store.ActionPurge {
			continue
		}
		r, err := s.Receipt(ctx, entries[i].TenantID)
		if err != nil {
			return "", err
		}
		for _, id := range r.Tenants {
			want := store.Access{Known: true, Status: store.StatusDeleted, By: id}
			if got, err := g.Access(id); err != nil || got != want {
				return fmt.Sprintf("Access(%q), which is purged: %+v, %v", id, got, err), nil
			}
		}
	}
	return "", nil
}
