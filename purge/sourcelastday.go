package purge

import (
	"slices"
	"time"

	"github.com/tenantpurge/purger/store"
)

// latelyFor is how long what a sync did counts beside what the next ones would do.
// Without that a source that goes wrong by and by, and is synced whenever something
// changes there, would make every tenant due within minutes, each sync below the
// bound.
const latelyFor = 24 * time.Hour

// lately is what syncs did in that time.
type lately struct{ sooner, vanished int64 }

// sumLately adds up the hours that count at an instant, of which the oldest may be
// over in part.
func sumLately(hours []store.SourceHour, now time.Time) lately {
	var l lately
	for _, h := range hours {
		if countsLately(h, now) {
			l.sooner += h.Sooner
			l.vanished += h.Vanished
		}
	}
	l.vanished = max(l.vanished, 0)
	return l
}

func countsLately(h store.SourceHour, now time.Time) bool {
	return now.Sub(h.From.Time) < latelyFor+time.Hour
}

// addLately returns the hours with what a sync did. It does not change them.
func addLately(hours []store.SourceHour, now time.Time, did lately) []store.SourceHour {
	from := store.Timestamp{Time: now.UTC().Truncate(time.Hour)}
	kept := slices.DeleteFunc(slices.Clone(hours), func(h store.SourceHour) bool { return !countsLately(h, now) })
	if did == (lately{}) {
		return kept
	}
	if n := len(kept); n == 0 || !kept[n-1].From.Equal(from.Time) {
		kept = append(kept, store.SourceHour{From: from})
	}
	last := &kept[len(kept)-1]
	last.Sooner += did.sooner
	last.Vanished += did.vanished
	return kept
}
