package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// histogram returns the options of a histogram that is both classic, with the
// buckets, and native. A Prometheus takes the form that it is set up for.
func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		// Buckets of 10 % width; 160 of them span 7 decades and more.
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// seconds returns d in seconds; a negative one, of a clock that went
// backwards, is 0.
func seconds(d time.Duration) float64 { return max(d, 0).Seconds() }

// timestamp returns t in seconds since 1970, to the millisecond; a zero time
// is 0.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// bit returns 1 for true and 0 for false.
func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// add adds n to a counter, which panics on a negative number.
func add(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}
