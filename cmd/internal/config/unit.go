package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads Go's notation. A bare 0 has no unit and is refused, as
// any other bare number is.
func parseDuration(s string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit", s)
	}
	return time.ParseDuration(s)
}

// formatDuration returns d in Go's notation without units that are zero: 24h
// instead of 24h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// unit is a unit of size.
type unit struct {
	name  string
	bytes int64
}

// units are in the order in which a size is tried for a whole number.
func units() []unit {
	return []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// parseSize reads a whole number with a binary unit: 4GiB. Decimal units (GB)
// are refused, since half of the world takes them for binary ones.
func parseSize(s string) (int64, error) {
	for _, u := range units() {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return 0, err
		}
		if int64(n) > math.MaxInt64/u.bytes {
			return 0, fmt.Errorf("%q is out of range", s)
		}
		return int64(n) * u.bytes, nil
	}
	return 0, fmt.Errorf("%q has no unit", s)
}

// formatSize returns n in the largest unit in which it is a whole number.
func formatSize(n int64) string {
	for _, u := range units() {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
