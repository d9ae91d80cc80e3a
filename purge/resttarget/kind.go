package resttarget

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// kind is a [Kind] that is ready for use.
type kind struct {
	list  *list
	count *count
	del   *remove
	purge *bulk
	proof *proof
}

type list struct {
	List
	op *operation
	// filtered says that the API is told which tenant it is about.
	filtered bool
	// owned is set once an item has shown an owner.
	owned atomic.Bool
	still *still
}

// numbered reports whether the pages of a list begin at a number.
func (p *Paging) numbered() bool { return p.Type == PagingOffset || p.Type == PagingPage }

type count struct {
	Count
	op *operation
}

type remove struct {
	Delete
	op *operation
}

type bulk struct {
	Purge
	op *operation
}

// compile checks the configuration of a kind; at is its path.
func (k Kind) compile(at string, secrets httpcall.Secrets) (*kind, error) {
	bad := func(field, format string, args ...any) error {
		path := at + field
		return store.Errorf(store.Invalid, path+": "+format, args...).At(path)
	}
	switch {
	case k.Purge == nil && (k.List == nil || k.Delete == nil):
		return nil, bad("", "want list and delete, or purge")
	case k.Purge != nil && k.Delete != nil:
		return nil, bad("", "want delete or purge, not both")
	case k.List == nil && k.Count == nil:
		return nil, bad("", "want list or count: what was purged is verified")
	}
	c := &kind{proof: newProof()}
	var errs []error
	wrong := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	if k.List != nil {
		c.list, err = k.List.compile(at+".list", secrets)
		wrong(err)
		if k.Count == nil && k.List.Paging.Max > 0 {
			wrong(bad(".count", "missing: a list with paging.max may not reach all there is to count"))
		}
	}
	if k.Count != nil {
		c.count, err = k.Count.compile(at+".count", secrets)
		wrong(err)
	}
	if k.Delete != nil {
		c.del = &remove{Delete: *k.Delete}
		c.del.op, err = k.Delete.Call.compile(at+".delete", http.MethodDelete, false, secrets, varTenant, varID)
		if err == nil && !c.del.op.has(varID) {
			err = bad(".delete.url", "{id} is nowhere: it would delete something else")
		}
		wrong(err)
		if k.Delete.Repeat < 0 || k.Delete.Repeat > 3 {
			wrong(bad(".delete.repeat", "%d; want 1 to 3", k.Delete.Repeat))
		}
		if k.Delete.Accept != "" && k.Delete.Expect != "" {
			wrong(bad(".delete.accept", "%q beside expect, which is for JSON", k.Delete.Accept))
		}
		c.del.Repeat = max(c.del.Repeat, 1)
	}
	if k.Purge != nil {
		c.purge = &bulk{Purge: *k.Purge}
		c.purge.op, err = k.Purge.Call.compile(at+".purge", http.MethodDelete, false, secrets, varTenant, varLimit)
		if err == nil && !c.purge.op.has(varTenant) {
			err = bad(".purge.url", "{tenant} is nowhere: it would delete everybody's")
		}
		wrong(err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// compile checks the configuration of a count.
func (c Count) compile(at string, secrets httpcall.Secrets) (*count, error) {
	bad := func(field, format string, args ...any) error {
		path := at + field
		return store.Errorf(store.Invalid, path+": "+format, args...).At(path)
	}
	op, err := c.Call.compile(at, http.MethodGet, true, secrets, varTenant)
	switch {
	case err != nil:
		return nil, err
	case !op.has(varTenant):
		return nil, bad(".url", "{tenant} is nowhere: it would count everybody's")
	case c.Value != "" && c.FromHeader != "":
		return nil, bad(".fromHeader", "%q beside value", c.FromHeader)
	}
	return &count{Count: c, op: op}, nil
}

// compile checks the configuration of a list.
func (l List) compile(at string, secrets httpcall.Secrets) (*list, error) {
	bad := func(field, format string, args ...any) error {
		path := at + field
		return store.Errorf(store.Invalid, path+": "+format, args...).At(path)
	}
	names := []string{varTenant, varLimit}
	p := &l.Paging
	needs := map[string]string{PagingCursor: varCursor, PagingOffset: varOffset, PagingPage: varPage}[p.Type]
	if needs != "" {
		names = append(names, needs)
	}
	op, err := l.Call.compile(at, http.MethodGet, true, secrets, names...)
	if err != nil {
		return nil, err
	}
	if p.Type == "" {
		p.Type = PagingNone
	}
	if p.Size == 0 {
		p.Size = DefaultSize
	}
	switch {
	case !slices.Contains([]string{PagingNone, PagingLink, PagingCursor, PagingOffset, PagingPage}, p.Type):
		return nil, bad(".paging.type", "%q; want none, link, cursor, offset or page", p.Type)
	case p.Size < 1 || p.Size > 10_000:
		return nil, bad(".paging.size", "%d; want 1 to 10000", p.Size)
	case p.Max < 0 || p.Max > 0 && p.Max < p.Size:
		return nil, bad(".paging.max", "%d; want the size of a page or more", p.Max)
	case p.First < 0 || p.First > 1:
		return nil, bad(".paging.first", "%d; want 0 or 1", p.First)
	case needs != "" && (p.Param == "") == !op.has(needs):
		return nil, bad(".paging.param", "%q: want param or {%s}, one of them: without it every page is the first", p.Param, needs)
	case needs == "" && p.Param != "":
		return nil, bad(".paging.param", "%q is not for paging by %s", p.Param, p.Type)
	case p.Type == PagingCursor && p.Next == "":
		return nil, bad(".paging.next", "missing; want the gjson path of the cursor")
	case p.Next != "" && (p.numbered() || p.Type == PagingNone):
		return nil, bad(".paging.next", "%q is not for paging by %s", p.Next, p.Type)
	case p.Total != "" && !p.numbered():
		return nil, bad(".paging.total", "%q is not for paging by %s", p.Total, p.Type)
	case p.More != "" && p.Type == PagingNone:
		return nil, bad(".paging.more", "%q without a type of paging", p.More)
	case l.OwnerConfirmed && l.Owner == "":
		return nil, bad(".ownerConfirmed", "true without owner")
	case !op.has(varTenant) && l.Owner == "":
		return nil, bad(".url", "{tenant} is nowhere and owner is not set: it would find everybody's")
	}
	compiled := &list{List: l, op: op, filtered: op.has(varTenant)}
	compiled.still = newStill(compiled)
	return compiled, nil
}
