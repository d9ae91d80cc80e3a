package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tenantpurge/purger/purge/client"
)

// watchPeriod is the time between two looks at a pass.
const watchPeriod = time.Second

// watchPass shows how far a pass is until the function that it returns is called.
// Where there is no terminal it asks nobody.
func watchPass(ctx context.Context, status func(context.Context) (client.Status, error), p *progress) (done func()) {
	if p.w == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(watchPeriod)
		defer tick.Stop()
		w := watchedPass{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// What is wrong with the daemon, the call for the pass will tell.
			if s, err := status(ctx); err == nil {
				p.line(w.text(s))
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		p.clear()
	}
}

// watchedPass is what was seen of a pass.
type watchedPass struct {
	// done is what was last seen removed, by tenant and target: who is through is
	// no longer in the status.
	done map[[2]string]int64
}

// text is the line for a status. It fits into 80 columns while there are less than
// ten million resources.
func (w *watchedPass) text(s client.Status) string {
	if len(s.Progress) == 0 && len(w.done) == 0 {
		return plural(s.Stats.Due, "tenant") + " due" // all that is purged is in the store
	}
	if w.done == nil {
		w.done = map[[2]string]int64{}
	}
	var left int64
	var rate float64
	known := true
	for _, p := range s.Progress {
		w.done[[2]string{p.TenantID, p.Target}] = p.Done
		rate += p.Rate
		if p.Remaining == nil {
			known = false
			continue
		}
		left += *p.Remaining
	}
	var done int64
	for _, n := range w.done {
		done += n
	}
	text := fmt.Sprintf("%s removed", number(done))
	if known {
		text = fmt.Sprintf("%s %s, %s left", bar(done, left), text, number(left))
	}
	if rate > 0 {
		text += ", " + rateText(rate)
	}
	if known && rate > 0 && left > 0 {
		text += ", " + leftText(float64(left)/rate)
	}
	return text
}

// rateText renders how many there are in a second.
func rateText(rate float64) string {
	if rate < 10 {
		return fmt.Sprintf("%.1f/s", rate)
	}
	return number(int64(math.Round(rate))) + "/s"
}

// barWidth is how many characters a bar has between its ends.
const barWidth = 10

// bar is how much of done and left is done.
func bar(done, left int64) string {
	share := 1.0
	if done+left > 0 {
		share = float64(done) / float64(done+left)
	}
	full := int(share * barWidth)
	return fmt.Sprintf("[%s%s] %d %%", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), int(share*100))
}

// leftText says how long something takes yet.
func leftText(seconds float64) string {
	if seconds > (100 * time.Hour).Seconds() {
		return "more than 100h to go"
	}
	return time.Duration(math.Ceil(seconds)*float64(time.Second)).String() + " to go"
}
