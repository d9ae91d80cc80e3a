package resttarget

import (
	"context"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

var _ purge.SubscriptionCounter = (*Target)(nil)

// compile checks the configuration; at is its path.
func (s Subscriptions) compile(at string, secrets httpcall.Secrets) (*kind, error) {
	bad := func(field, text string) error {
		path := at + field
		return store.Errorf(store.Invalid, "%s: %s", path, text).At(path)
	}
	switch {
	case s.List == nil && s.Count == nil:
		return nil, bad("", "want list, of which the length counts, or count")
	case s.List != nil && s.Count != nil:
		return nil, bad("", "want list or count, not both")
	case s.List != nil && s.List.Paging.Max > 0:
		return nil, bad(".list.paging.max", "not here: what is beyond would not be counted; want count")
	}
	k := &kind{}
	var err error
	if s.List != nil {
		k.list, err = s.List.compile(at+".list", secrets)
	} else {
		k.count, err = s.Count.compile(at+".count", secrets)
	}
	if err != nil {
		return nil, err
	}
	return k, nil
}

// CountsSubscriptions implements [purge.SubscriptionCounter].
func (t *Target) CountsSubscriptions() bool { return t.subs != nil }

// ActiveSubscriptions implements [purge.SubscriptionCounter].
func (t *Target) ActiveSubscriptions(ctx context.Context, tenantID string) (int64, error) {
	if t.subs == nil {
		return 0, store.Errorf(store.Invalid, "target %s has no request for subscriptions", t.cfg.Name)
	}
	return t.countBy(ctx, t.subs, tenantID, "subscriptions")
}
