package postgrestarget

import "github.com/tenantpurge/purger/store"

// fits reports whether the rows of a tenant can be asked about. That they cannot is
// no proof that there are none (G6), and an error unless the operator said that there
// are none.
func (s *source) fits(id string) (bool, error) {
	if s.own == nil {
		return s.fit(s.table.typ, id)
	}
	// What is counted and what is removed must be the same tenant's.
	if fits, err := s.fit(s.own.countType, id); !fits {
		return false, err
	}
	return s.fit(s.own.delType, id)
}

// fit is [source.fits] for one place where a statement takes the id.
func (s *source) fit(typ columnType, id string) (bool, error) {
	fits, err := typ.fits(id)
	if fits || err != nil || s.foreign {
		return fits, err
	}
	return false, store.Errorf(store.Precondition,
		"%s is of type %s, and the id of tenant %q, %s, is no value of it: whether it has rows cannot be asked; with foreignIds: none it has none",
		typ.place, typ.sql, id, idKind(id))
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
