package targettest_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"unicode"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/targettest"
	"github.com/tenantpurge/purger/store"
)

// owner says whose and of which kind a resource is.
type owner struct {
	tenant string
	kind   store.Kind
}

// memory is a system in memory, and the target that is connected to it. defect
// makes it one of the careless targets that the suite has to find out.
type memory struct {
	defect string

	mu      sync.Mutex
	next    int
	held    map[owner]map[int]bool
	counted map[owner]bool
	books   map[string]store.Counts // by purge
	names   int
	broken  bool
}

func newMemory(defect string) *memory {
	return &memory{defect: defect, held: map[owner]map[int]bool{}, counted: map[owner]bool{}, books: map[string]store.Counts{}}
}

// system returns what the suite needs.
func (m *memory) system() targettest.System {
	return targettest.System{Target: m, Add: m.add, Left: m.left, Break: func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.broken = true
	}}
}

func (m *memory) add(tenant string, kind store.Kind, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := owner{tenant, kind}
	if m.held[o] == nil {
		m.held[o] = map[int]bool{}
	}
	for range n {
		m.next++
		m.held[o][m.next] = true
	}
	return nil
}

func (m *memory) left(tenant string, kind store.Kind) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.held[owner{tenant, kind}])), nil
}

func (m *memory) Name() string {
	if m.defect != "name changes" {
		return "memory"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names++
	return fmt.Sprint("memory", m.names)
}

func (m *memory) Kinds() []store.Kind { return store.Kinds() }

// same reports whether a resource of o belongs to a tenant and kind.
func (m *memory) same(o owner, tenant string, kind store.Kind) bool {
	if o.kind != kind {
		return m.defect == "all kinds" && o.tenant == tenant
	}
	switch m.defect {
	case "prefix":
		return strings.HasPrefix(o.tenant, tenant)
	case "case":
		return strings.EqualFold(o.tenant, tenant)
	case "like":
		p := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(tenant))
		return regexp.MustCompile("^" + p + "$").MatchString(o.tenant)
	case "dot":
		p, err := regexp.Compile("^" + tenant + "$")
		return err == nil && p.MatchString(o.tenant) || o.tenant == tenant
	case "quote":
		return o.tenant == tenant || strings.Contains(tenant, "' OR '1'='1")
	case "trim":
		return strings.TrimSpace(o.tenant) == strings.TrimSpace(tenant)
	case "full width", "accent", "script", "invisible":
		return folded(m.defect, o.tenant) == folded(m.defect, tenant)
	}
	return o.tenant == tenant
}

// folded returns an id as a system has it that takes look-alikes for the same: what
// compatible (NFKC) or canonical (NFC) normalization, a table of confusable letters,
// or a filter for what is not visible makes of it.
func folded(defect, id string) string {
	switch defect {
	case "full width":
		return strings.Map(func(r rune) rune {
			if r >= '\uff01' && r <= '\uff5e' {
				return r - '\uff01' + '!'
			}
			return r
		}, id)
	case "accent":
		return strings.ReplaceAll(id, "e\u0301", "\u00e9")
	case "script":
		return strings.NewReplacer("\u0430", "a", "\u0435", "e").Replace(id)
	}
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, id)
}

func (m *memory) Count(ctx context.Context, tenant string, kind store.Kind) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.broken && m.defect == "absence":
		return 0, nil
	case m.broken:
		return 0, store.Errorf(store.Unavailable, "the memory is broken")
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case m.counted[owner{tenant, kind}] && m.defect == "count is kept":
		return 0, nil
	}
	var n int64
	for o, ids := range m.held {
		if m.same(o, tenant, kind) && (m.defect != "all kinds" || o.kind == kind) {
			n += int64(len(ids))
		}
	}
	if m.defect == "first page" {
		n = min(n, 100)
	}
	return n, nil
}

func (m *memory) Purge(ctx context.Context, r purge.Request) (purge.Removed, error) {
	if m.defect == "hangs" {
		if ctx.Err() != nil {
			select {}
		}
	}
	m.mu.Lock()
	broken := m.broken
	var found []owner
	var ids []int
	for o, held := range m.held {
		if !m.same(o, r.TenantID, r.Kind) {
			continue
		}
		for id := range held {
			if len(ids) < r.Limit || m.defect == "limit" {
				found, ids = append(found, o), append(ids, id)
			}
		}
	}
	_, known := m.held[owner{r.TenantID, r.Kind}]
	m.counted[owner{r.TenantID, r.Kind}] = true
	m.mu.Unlock()
	switch {
	case broken && m.defect == "absence":
		return purge.Removed{}, nil
	case broken && m.defect == "gives up":
		return purge.Removed{}, purge.Permanent(errors.New("the memory is broken"))
	case broken:
		return purge.Removed{}, store.Errorf(store.Unavailable, "the memory is broken")
	case !known && m.defect == "gone is an error":
		return purge.Removed{}, store.Errorf(store.NotFound, "no such tenant")
	case len(ids) == 0 && m.defect == "twice is an error":
		return purge.Removed{}, store.Errorf(store.NotFound, "nothing there")
	}

	// As with a system on a network, others come in between.
	for range 10 {
		runtime.Gosched()
	}
	var did purge.Removed
	for i, id := range ids {
		if err := ctx.Err(); err != nil {
			switch m.defect {
			case "forgets":
				return purge.Removed{}, store.Errorf(store.Unavailable, "interrupted")
			case "exaggerates":
				return purge.Removed{Deleted: int64(len(ids))}, nil
			}
			return did, err
		}
		m.mu.Lock()
		if m.held[found[i]][id] || m.defect == "counts requests" {
			did.Deleted++
		}
		if b := m.books[r.PurgeID]; m.held[found[i]][id] {
			b.Add(r.Kind, 1)
			m.books[r.PurgeID] = b
		}
		delete(m.held[found[i]], id)
		m.mu.Unlock()
	}
	switch m.defect {
	case "no more":
	case "ever more":
		did.More = true
	default:
		did.More = len(ids) == r.Limit
	}
	if m.defect == "one too few" && did.Deleted > 0 {
		did.Deleted--
	}
	return did, nil
}

// GroupSize implements [purge.GroupTarget].
func (m *memory) GroupSize(store.Kind) int { return 20 }

// CountGroup implements [purge.GroupTarget].
func (m *memory) CountGroup(ctx context.Context, tenants []string, kind store.Kind) (sum int64, err error) {
	for _, id := range tenants {
		n, err := m.Count(ctx, id, kind)
		if err != nil {
			return sum, err
		}
		if sum += n; m.defect == "group counts one" {
			break
		}
	}
	return sum, nil
}

// PurgeGroup implements [purge.GroupTarget].
func (m *memory) PurgeGroup(ctx context.Context, tenants []string, r purge.Request) (sum purge.Removed, err error) {
	for _, id := range tenants {
		one := r
		one.TenantID = id
		if m.defect != "group limits each" {
			one.Limit -= int(sum.Deleted)
		}
		if one.Limit <= 0 {
			sum.More = m.defect != "group forgets the rest"
			break
		}
		if m.defect == "group takes a neighbour" {
			m.forget("Acme", r.Kind)
		}
		did, err := m.Purge(ctx, one)
		if sum.Deleted += did.Deleted; err != nil {
			return sum, err
		}
		sum.More = sum.More || did.More
	}
	return sum, nil
}

// forget removes what nobody asked for.
func (m *memory) forget(tenant string, kind store.Kind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, owner{tenant, kind})
}

// KeepsAccount implements [purge.Accountant].
func (m *memory) KeepsAccount(context.Context) (bool, error) { return true, nil }

// Account implements [purge.Accountant].
func (m *memory) Account(_ context.Context, purgeID string) (store.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken && m.defect != "account of nothing" {
		return store.Counts{}, store.Errorf(store.Unavailable, "the memory is broken")
	}
	if m.defect == "one account" {
		var sum store.Counts
		for _, c := range m.books {
			sum = sum.Plus(c)
		}
		return sum, nil
	}
	return m.books[purgeID], nil
}
