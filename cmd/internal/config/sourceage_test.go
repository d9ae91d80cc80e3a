package config

import (
	"testing"
	"time"
)

func TestSource_AgeIsThreeTimesEveryAndAnHourAtTheLeast(t *testing.T) {
	for _, c := range []struct{ every, maxAge, want time.Duration }{
		{time.Second, 0, time.Hour}, {20 * time.Minute, 0, time.Hour}, {time.Hour, 0, 3 * time.Hour}, {time.Minute, 2 * time.Minute, 2 * time.Minute},
	} {
		s := Source{Every: c.every, MaxAge: c.maxAge}
		if got := s.Age(); got != c.want {
			t.Errorf("every %s, maxAge %s: %s; want %s", c.every, c.maxAge, got, c.want)
		}
	}
	if c := Default(); c.PurgeSettings().SourceMaxAge != 0 {
		t.Error("without a source there is a bound")
	}
}
