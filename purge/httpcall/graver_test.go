package httpcall_test

import (
	"context"
	"testing"

	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

func TestGraver_ALostAnswerIsToldBeforeARefusal(t *testing.T) {
	refused, again := store.Errorf(store.Forbidden, "refused"), store.Errorf(store.Unavailable, "down")
	lost := store.Errorf(store.Internal, "lost: %w", context.DeadlineExceeded)
	for _, c := range []struct{ first, second, want error }{
		{nil, refused, refused},
		{nil, lost, lost},
		{refused, again, refused},
		{refused, lost, lost},
		{lost, refused, lost},
		{lost, store.Errorf(store.Internal, "lost as well"), lost},
	} {
		if got := httpcall.Graver(c.first, c.second); got != c.want {
			t.Errorf("of %v and %v: %v; want %v", c.first, c.second, got, c.want)
		}
	}
}
