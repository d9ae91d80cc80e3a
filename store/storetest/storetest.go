// Package storetest is the conformance suite of the store interfaces: what it
// accepts may keep tenants for purger.
//
// Every sentence of the contracts in package store has a case, refusals
// included, named by the rule and, where there is one, by its guarantee (G1 to
// G12). A case sees the store through the interfaces alone; what is optional
// ([store.Directory], [store.Importer], [store.Compacter], [store.Gatekeeper],
// [store.Approver], [store.Replayer], [store.Forgetter], [store.SourceKeeper]) is found by type
// assertion, and a case that needs it is skipped without it.
// After every case the store's own Check and an independent walk over the audit
// chain must find nothing, and the gate must answer as the records say.
//
// Beside the cases there are a state machine that compares random histories
// with a model of the rules, and tests in which goroutines compete; run the
// suite with -race.
package storetest

import (
	"testing"

	"github.com/tenantpurge/purger/store"
)

// Harness tells the suite how to open the store under test.
type Harness struct {
	// Open opens the store that is kept in the directory dir, which belongs to
	// the suite; an empty directory becomes a new store. It fails t when it
	// cannot. The suite closes what it opened, and may open again what it
	// closed.
	Open func(t testing.TB, dir string) store.Store
	// Restore makes of the empty directory dir a store from what
	// [store.Store.Backup] wrote.
	Restore func(t testing.TB, dir string, backup []byte)
}

// testCase is one rule. run is given a new store.
type testCase struct {
	name string
	run  func(e *env)
}

// group is the cases of one topic.
type group struct {
	name  string
	cases []testCase
}

// groups returns every case of the suite.
func groups() []group {
	return []group{
		{"Create", createCases()},
		{"Read", readCases()},
		{"Update", updateCases()},
		{"Grace", graceCases()},
		{"Due", dueCases()},
		{"Claim", claimCases()},
		{"Block", blockCases()},
		{"Absorb", absorbCases()},
		{"Accounts", accountCases()},
		{"Unaccounted", unaccountedCases()},
		{"Limits", limitsCases()},
		{"Gates", gatesCases()},
		{"Lease", leaseCases()},
		{"Resume", resumeCases()},
		{"Attempts", attemptsCases()},
		{"NextAttempt", nextAttemptCases()},
		{"Await", awaitCases()},
		{"Erase", eraseCases()},
		{"Finish", finishCases()},
		{"Evidence", evidenceCases()},
		{"Neighbours", neighboursCases()},
		{"Size", sizeCases()},
		{"Assess", assessCases()},
		{"Survey", surveyCases()},
		{"Audit", auditCases()},
		{"Runs", runsCases()},
		{"Stats", statsCases()},
		{"Directory", directoryCases()},
		{"Importer", importerCases()},
		{"Compare", compareCases()},
		{"Lifecycle", lifecycleCases()},
		{"Context", contextCases()},
		{"Access", accessCases()},
		{"Approval", approvalCases()},
		{"Replay", replayCases()},
		{"Source", sourceCases()},
		{"Reactivated", reactivatedCases()},
		{"Concurrent", concurrentCases()},
	}
}

// Run runs the suite. Every case has a store of its own; cases run in parallel.
func Run(t *testing.T, h Harness) {
	if h.Open == nil || h.Restore == nil {
		t.Fatal("storetest: Harness wants both functions")
	}
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(newEnv(t, h))
				})
			}
		})
	}
	t.Run("Model", func(t *testing.T) { runModel(t, h) })
}
