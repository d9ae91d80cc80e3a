package postgrestarget

import "sync"

// memory has something about tenants whose purge takes more than one step. It is a
// short cut alone: what it does not have is found out again. The zero value is empty.
// It is safe for concurrent use.
type memory[V any] struct {
	mu sync.Mutex
	by map[key]V
}

// maxMemory bounds what there is of tenants whose purge is not gone on with. Beyond,
// all is forgotten.
const maxMemory = 10_000

func (m *memory[V]) get(k key) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.by[k]
	return v, ok
}

func (m *memory[V]) set(k key, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil || len(m.by) >= maxMemory {
		m.by = map[key]V{}
	}
	m.by[k] = v
}

func (m *memory[V]) forget(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.by, k)
}
