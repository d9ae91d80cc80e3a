package main

import (
	"bytes"
	"testing"

	"github.com/tenantpurge/purger/purge"
)

func TestFixes_AreShownAsTheyAreToBeCopied(t *testing.T) {
	found := []finding{
		{"app", purge.Finding{Subject: "users", Text: "there are rows"}},
		{"app", purge.Finding{Subject: "ledger", Text: "it is missing", Fix: "CREATE TABLE \"ledger\" (\n  id text -- the \x1b[1mkey\n);\n"}},
		{"app", purge.Finding{Subject: "the same", Text: "it is missing, too", Fix: "CREATE TABLE \"ledger\" (\n  id text -- the \x1b[1mkey\n);\n"}},
	}
	var b bytes.Buffer
	if err := formatTable.write(&b, found, func(t *table) { fixes(t, found) }); err != nil {
		t.Fatal(err)
	}
	const want = "\nTo mend ledger (app):\n  CREATE TABLE \"ledger\" (\n\"    id text -- the \\x1b[1mkey\"\n  );\n"
	if b.String() != want {
		t.Errorf("shown as\n%q, want\n%q", b.String(), want)
	}
}
