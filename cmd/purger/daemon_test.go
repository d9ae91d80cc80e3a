package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/tenantpurge/purger/cmd/internal/api"
	"github.com/tenantpurge/purger/cmd/internal/config"
	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// slowEngine makes passes that last until they are stopped.
type slowEngine struct {
	began  chan struct{}
	linger chan struct{} // nil: not at all
	ended  chan struct{}
}

func (e *slowEngine) Run(ctx context.Context, trigger purge.Trigger) (purge.Report, error) {
	close(e.began)
	<-ctx.Done()
	if e.linger != nil {
		<-e.linger
	}
	close(e.ended)
	return purge.Report{Trigger: trigger, Result: purge.ResultInterrupted, Tenants: []purge.Row{}}, nil
}
func (e *slowEngine) Plan(context.Context) (purge.Report, error) { return purge.Report{}, nil }
func (e *slowEngine) Settings() purge.Settings                   { return purge.DefaultSettings() }
func (e *slowEngine) Delete(context.Context, purge.Deletion) (store.Receipt, error) {
	return store.Receipt{}, nil
}

func TestServeLocal_ASignalEndsThePassAndItsReportStillArrives(t *testing.T) {
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	e := &slowEngine{began: make(chan struct{}), ended: make(chan struct{})}
	ctx, stop := context.WithCancelCause(t.Context())
	c := serveLocal(ctx, api.Options{Store: st, Engine: e})
	go func() {
		<-e.began
		stop(stoppedBy{os.Interrupt})
	}()
	r, err := makePass(ctx, &session{Client: c, local: true})
	if err != nil || r.Result != purge.ResultInterrupted {
		t.Errorf("%+v, %v; want the report of an interrupted pass", r, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if got := exitCode(passError(r)); got != exitTryAgain {
		t.Errorf("exit code %d; want %d", got, exitTryAgain)
	}
}

func TestServeLocal_CloseWaitsForRequestsWhoseCallerLeft(t *testing.T) {
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	e := &slowEngine{began: make(chan struct{}), linger: make(chan struct{}), ended: make(chan struct{})}
	ctx, stop := context.WithCancelCause(t.Context())
	c := serveLocal(ctx, api.Options{Store: st, Engine: e})
	go func() {
		<-e.began
		stop(stoppedBy{os.Interrupt})
	}()
	if _, err := c.Run(ctx, purge.TriggerRun); err == nil {
		t.Error("a call whose context ended succeeded")
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	close(e.linger)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	select {
	case <-e.ended:
	default:
		t.Error("the store would be closed under a pass that runs")
	}
}

func TestRunServer_AServerThatFailsEndsTheDaemon(t *testing.T) {
	d := &daemon{logger: zap.NewNop(), failed: make(chan error, 1), stop: stopStack{logger: zap.NewNop()}}
	d.runServer("web", &http.Server{}, func() error { return os.ErrDeadlineExceeded })
	if err := <-d.failed; err == nil || !strings.Contains(err.Error(), "serve web: ") {
		t.Errorf("told %v", err)
	}
	if err := d.stop.unwind(); err != nil {
		t.Error(err)
	}
}

func TestStartScheduler_AFailedStoreEndsTheDaemon(t *testing.T) {
	dir := t.TempDir()
	st, err := boltstore.Open(t.Context(), boltstore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	schedule, err := scheduler.ParseSchedule("@hourly")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{logger: zap.NewNop(), failed: make(chan error, 1), stop: stopStack{logger: zap.NewNop()}, store: st}
	d.settings.set(config.Default())
	d.scheduler, err = scheduler.New(scheduler.Options{Runner: &slowEngine{}, Store: st, Schedule: schedule})
	if err != nil {
		t.Fatal(err)
	}
	// It fails before or after its first beat.
	err = d.startScheduler(t.Context())
	if err == nil {
		err = <-d.failed
	}
	if store.CodeOf(err) != store.Unavailable {
		t.Errorf("told %v; want what the closed store says", err)
	}
	if err := d.stop.unwind(); err != nil {
		t.Errorf("told twice: %v", err)
	}
}
