package postgrestarget

import (
	"fmt"

	"github.com/tenantpurge/purger/store"
)

// place is where a statement takes a tenant's id.
type place struct {
	name string
	typ  columnType
}

// places returns where the statements of a source take it. What is counted and what
// is removed must be the same tenant's, so an id has to fit all of them.
func (s *source) places() []place {
	if s.own != nil {
		return []place{{"$1 of count", s.own.countType}, {"$1 of delete", s.own.delType}}
	}
	return []place{{fmt.Sprintf("the tenant column %s of %s", s.table.tenant, s.table.name), s.table.typ}}
}

// fits reports whether the rows of a tenant can be asked about. That they cannot is
// no proof that there are none (G6), and an error unless the operator said that there
// are none.
func (s *source) fits(id string) (bool, error) {
	for _, at := range s.places() {
		fits, err := at.typ.fits(id)
		switch {
		case err != nil:
			return false, err
		case fits:
		case s.foreign:
			return false, nil
		default:
			return false, store.Errorf(store.Precondition,
				"%s is of type %s, and the id of tenant %q, %s, is no value of it: whether it has rows cannot be asked; with foreignIds: none it has none",
				at.name, at.typ.sql, id, idKind(id))
		}
	}
	return true, nil
}

// fitting notes which tenants of a call can have rows in a source, and reports
// whether any can. Otherwise, and when one is refused, it answers the call.
func fitting[R any](p *pending[R], src *source) bool {
	var none R
	p.fit = make([]string, 0, len(p.tenants))
	for _, id := range p.tenants {
		fits, err := src.fits(id)
		if err != nil {
			p.answer(none, err)
			return false
		}
		if fits {
			p.fit = append(p.fit, id)
		}
	}
	if len(p.fit) == 0 {
		p.answer(none, nil)
	}
	return len(p.fit) > 0
}
