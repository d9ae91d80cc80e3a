package purge_test

import (
	"context"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/tenantpurge/purger/store"
)

// decide has a person reactivate a tenant, though the source may go on to say that
// it is disabled.
func (m *syncModel) decide(rt *rapid.T) {
	kept := m.kept()
	var off []string
	for id, v := range kept {
		if v.Status == store.StatusDisabled {
			off = append(off, id)
		}
	}
	if len(off) == 0 {
		rt.Skip("nothing is disabled")
	}
	slices.Sort(off)
	id := rapid.SampledFrom(off).Draw(rt, "tenant")
	at := time.Now()
	_, err := m.s.Update(context.Background(), id, store.Update{Origin: store.Origin{Actor: operator, At: at}, Change: store.Reactivate()})
	if store.CodeOf(err) == store.Precondition { // below one that is not active
		return
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.decided[id] = store.Trim(at)
	if said := kept[id].DisabledAt; said.After(at) { // by a clock that is ahead
		m.decided[id] = said
	}
}

// stands reports whether a person's reactivation is newer than what the source
// says of the tenant.
func (m *syncModel) stands(id string, said says) bool {
	at, is := m.decided[id]
	return is && !said.date.IsZero() && !said.date.Add(-graceDays*24*time.Hour).After(at)
}

// settle forgets the reactivations about which the source has said something newer,
// and fails if the store forgot one of which it has not.
func (m *syncModel) settle(rt *rapid.T) {
	kept := m.kept()
	for id, at := range m.decided {
		now, is := kept[id]
		switch {
		case is && now.Status == store.StatusActive && now.ReactivatedAt.Equal(at):
		case is && !now.Status.Irrevocable() && m.stands(id, m.accepted[id]):
			rt.Fatalf("%s is %s, reactivated at %s; a person did that at %s, and the snapshot said %+v", id, now.Status, now.ReactivatedAt, at, m.accepted[id])
		default:
			delete(m.decided, id)
		}
	}
}
