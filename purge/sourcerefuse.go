package purge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

// note adds to the digest what a person may have to accept.
func (d *diff) note(what, id, date string) {
	_, _ = d.digest.Write([]byte(what + "\x00" + id + "\x00" + date + "\x00"))
}

// sum returns the digest.
func (d *diff) sum() string {
	sum := d.digest.Sum(nil)
	if d.mostlyRejected() {
		both := sha256.Sum256(d.rejected.Sum(sum))
		sum = both[:]
	}
	return hex.EncodeToString(sum)
}

// noteRejected adds to what a person may have to accept when most is rejected.
func (d *diff) noteRejected(what string) { _, _ = d.rejected.Write([]byte(what + "\x00")) }

// rejections returns how many rows are rejected, as far as that is known before
// anything is changed, and how many are not.
func (d *diff) rejections() (rejected, understood int64) {
	rejected = d.counts.Rejected + d.orphans
	return rejected + d.nameless, d.ids - rejected
}

// mostlyRejected reports whether more rows are rejected than understood.
func (d *diff) mostlyRejected() bool {
	rejected, understood := d.rejections()
	return rejected > understood
}

// refusal returns why a person has to look at the sync first, "" when nobody has
// to.
func (d *diff) refusal() string {
	limit := max(int64(math.Floor(d.settings.MaxChange*float64(d.counts.Kept))), d.settings.Floor)
	bound := fmt.Sprintf("more than %d, which is %g of the %d that are kept, and at least %d (source.maxChange, source.maxChangeFloor)",
		limit, d.settings.MaxChange, d.counts.Kept, d.settings.Floor)
	var why []string
	// What was accepted, and is being carried out, may have been just that.
	if d.parsed == 0 && (!d.accepted || d.vanishing > 0) {
		why = append(why, "the source listed no tenant that can be understood")
	} else if rejected, understood := d.rejections(); rejected > understood && (!d.accepted || d.vanishing+d.sooner > 0) {
		why = append(why, fmt.Sprintf("%d rows are rejected, and only %d are not: most likely the source is asked for the wrong thing", rejected, understood))
	}
	before := func(n int64) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf(", and %d in the 24 hours before", n)
	}
	if n := d.lately.vanished; d.vanishing > 0 && d.vanishing+n > limit {
		why = append(why, fmt.Sprintf("%d tenants have vanished%s: %s", d.vanishing, before(n), bound))
	}
	if n := d.lately.sooner; d.sooner > 0 && d.sooner+n > limit {
		why = append(why, fmt.Sprintf("%d tenants would get a purge date, or an earlier one%s: %s", d.sooner, before(n), bound))
	}
	return strings.Join(why, "; ")
}
