package purge_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing that a pass starts outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
