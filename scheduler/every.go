package scheduler

import (
	"time"
)

// every is a schedule of elapsed time.
type every struct {
	delay time.Duration // whole seconds, at least one
	text  string
}

// parseEvery reads the words after "@every".
func parseEvery(spec, text string, words []string) (Schedule, error) {
	const want = "want one interval in whole seconds, at least 1s, such as @every 5m or @every 1h30m"
	if len(words) != 1 {
		return nil, invalid(spec, "%d intervals; %s", len(words), want)
	}
	delay, err := time.ParseDuration(words[0])
	if err != nil {
		return nil, invalid(spec, "interval %.64q; %s", words[0], want)
	}
	if delay < time.Second || delay%time.Second != 0 {
		return nil, invalid(spec, "interval %s; %s", delay, want)
	}
	return every{delay: delay, text: text}, nil
}

// Next implements [Schedule]: a delay after t, on the second.
func (e every) Next(t time.Time) time.Time {
	t = t.Round(0).UTC()
	return t.Add(e.delay - time.Duration(t.Nanosecond()))
}

// String implements [Schedule].
func (e every) String() string { return e.text }
