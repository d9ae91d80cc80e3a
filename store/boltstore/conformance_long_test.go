//go:build long

package boltstore_test

import (
	"testing"
	"time"

	"github.com/tenantpurge/purger/store/boltstore"
	"github.com/tenantpurge/purger/store/storetest"
)

// The same with transactions as small as they get: what fits one by default is
// done in many steps.
func TestConformance_SmallTransactions(t *testing.T) {
	storetest.Run(t, harness(boltstore.Options{TxTarget: time.Nanosecond}))
}
