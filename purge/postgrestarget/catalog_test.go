package postgrestarget_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantpurge/purger/purge/postgrestarget"
	"github.com/tenantpurge/purger/store"
)

// TestTarget_WhoWaitsForTheCatalogMayLeave: one caller looks at the tables, and
// gets no connection; another one, who waits for that, has his own patience.
func TestTarget_WhoWaitsForTheCatalogMayLeave(t *testing.T) {
	connecting, connect := make(chan struct{}, 1), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(connect) })
	b := setUp{noLedger: true, options: postgrestarget.Options{Pool: func(c *pgxpool.Config) {
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			connecting <- struct{}{}
			<-connect
			return nil
		}
	}}}.make(t)
	defer goOn()
	first, later := make(chan error, 1), make(chan error, 1)
	go func() { first <- second(b.KeepsAccount(t.Context())) }()
	<-connecting
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go func() { later <- second(b.KeepsAccount(ctx)) }()
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case err := <-later:
		wantCode(t, err, store.Unavailable)
	case <-timer.C:
		t.Error("a caller whose context has ended still waits for another one")
	}
	goOn()
	if err := <-first; err != nil {
		t.Error(err)
	}
}
