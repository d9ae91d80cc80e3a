package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/scheduler"
	"github.com/tenantpurge/purger/store"
	"github.com/tenantpurge/purger/store/boltstore"
)

// A platform that is written in Go runs the scheduler in its own process.
func Example() {
	dir, err := os.MkdirTemp("", "purger")
	if err == nil {
		err = errors.Join(offboard(dir), os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// Next run: 29 March 2026, 03:00 CEST, since there is no 02:30 on that day.
	// Pass ok: 1 tenant purged, acme was deleted.
	// Stopped.
}

func offboard(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st, err := boltstore.Open(ctx, boltstore.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer st.Close()

	// A tenant that left 31 days ago, with a grace period of 30 days.
	left := store.Origin{Actor: store.Actor{ID: "sales"}, At: time.Now().AddDate(0, 0, -31)}
	if _, err := st.Create(ctx, store.Tenant{ID: "acme"}, left); err != nil {
		return err
	}
	change := store.Deactivate(30, store.DefaultGrace(), nil)
	if _, err := st.Update(ctx, "acme", store.Update{Origin: left, Change: change}); err != nil {
		return err
	}

	engine, err := purge.New(purge.Options{Store: st, Settings: purge.DefaultSettings()})
	if err != nil {
		return err
	}
	schedule, err := scheduler.ParseSchedule("CRON_TZ=Europe/Berlin 30 2 * * *")
	if err != nil {
		return err
	}
	eve := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	zone := time.FixedZone("CEST", 2*60*60)
	fmt.Println("Next run:", schedule.Next(eve).In(zone).Format("2 January 2006, 15:04 MST,"), "since there is no 02:30 on that day.")

	s, err := scheduler.New(scheduler.Options{Runner: engine, Store: st, Schedule: schedule})
	if err != nil {
		return err
	}
	ticket := s.Trigger(purge.TriggerAPI) // a pass at once, beside the schedule
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()

	report, err := ticket.Wait(ctx)
	if err != nil {
		return err
	}
	row := report.Tenants[0]
	fmt.Printf("Pass %s: %d tenant purged, %s was %s.\n", report.Result, report.Totals.Tenants, row.ID, row.Outcome)

	cancel() // the pass that runs would end soon, and the rest follow another time
	if err := <-stopped; err != nil {
		return err
	}
	fmt.Println("Stopped.")
	return nil
}
