package client

import (
	"testing"

	"github.com/tenantpurge/purger/store"
)

func TestRole_EachMayDoWhatTheOneBeforeMay(t *testing.T) {
	roles := Roles()
	for i, r := range roles {
		for j, least := range roles {
			if got := r.AtLeast(least); got != (i >= j) {
				t.Errorf("%s at least %s: %t", r, least, got)
			}
		}
		if parsed, err := ParseRole(string(r)); parsed != r || err != nil {
			t.Errorf("ParseRole(%q) = %q, %v", r, parsed, err)
		}
	}
	for _, odd := range []Role{"", "admin", "Viewer"} {
		if odd.AtLeast(RoleTenant) {
			t.Errorf("%q may do something", odd)
		}
		if _, err := ParseRole(string(odd)); store.CodeOf(err) != store.Invalid {
			t.Errorf("ParseRole(%q): %v", odd, err)
		}
	}
}
