package main

import (
	"bytes"
	"testing"

	"github.com/tenantpurge/purger/store"
)

// What somebody else has to run is on standard output as it is to be copied, and
// nothing else is.
func TestShowStatements_AreOnStandardOutputAsTheyAreToBeCopied(t *testing.T) {
	for _, c := range []struct{ text, out, says string }{
		{
			"create the ledger: permission denied; the owner of the schema may run:\nCREATE TABLE \"l\" (\n  n int\n);\nGRANT SELECT ON \"l\" TO \"purger\";\n",
			"CREATE TABLE \"l\" (\n  n int\n);\nGRANT SELECT ON \"l\" TO \"purger\";\n",
			"create the ledger: permission denied; the owner of the schema may run what is on standard output",
		},
		{"target crm needs nothing of its own", "", "target crm needs nothing of its own"},
	} {
		var out bytes.Buffer
		err := (&app{stdout: &out}).showStatements(store.Errorf(store.Forbidden, "%s", c.text))
		if out.String() != c.out || err.Error() != c.says || exitCode(err) != exitFailure {
			t.Errorf("wrote\n%s\nand returned %v (%d)", out.String(), err, exitCode(err))
		}
	}
}
