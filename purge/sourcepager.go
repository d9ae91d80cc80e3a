package purge

import "github.com/tenantpurge/purger/store"

// pager goes through a list in the order of ids, page by page.
type pager[T any] struct {
	fetch func(after string) ([]T, error)
	id    func(*T) string
	page  []T
	i     int
	last  string
	done  bool
}

// peek returns the next one, nil behind the last.
func (p *pager[T]) peek() (*T, error) {
	if p.i == len(p.page) && !p.done {
		page, err := p.fetch(p.last)
		if err != nil {
			return nil, err
		}
		p.page, p.i = page, 0
		if len(page) > 0 {
			p.last = p.id(&page[len(page)-1])
		}
		p.done = len(page) < store.MaxPage
	}
	if p.i == len(p.page) {
		return nil, nil
	}
	return &p.page[p.i], nil
}

// advance goes to the next one.
func (p *pager[T]) advance() { p.i++ }
