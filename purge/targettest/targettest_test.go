package targettest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tenantpurge/purger/purge/targettest"
)

func TestRun_AcceptsASoundTarget(t *testing.T) {
	targettest.Run(t, targettest.Harness{New: newMemoryOf("")})
}

// defectVariable makes TestRun_OfADefect run the suite on a careless target.
const defectVariable = "PURGER_TARGETTEST_DEFECT"

func TestRun_OfADefect(t *testing.T) {
	defect := os.Getenv(defectVariable)
	if defect == "" {
		t.Skip("run by TestRun_FindsDefects in a process of its own")
	}
	targettest.Run(t, targettest.Harness{New: newMemoryOf(defect), Patience: 200 * time.Millisecond})
}

func newMemoryOf(defect string) func(*testing.T) targettest.System {
	return func(*testing.T) targettest.System { return newMemory(defect).system() }
}

func TestRun_FindsDefects(t *testing.T) {
	// Each defect with a test that must fail because of it.
	for defect, test := range map[string]string{
		"name changes":      "IdentityIsConstantAndValid",
		"count is kept":     "CountSeesWhatIsAddedAfterAPurge",
		"first page":        "CountSaysWhatTheSystemHolds",
		"prefix":            "PurgeLeavesConfusableTenants",
		"case":              "PurgeLeavesConfusableTenants",
		"like":              "PurgeLeavesConfusableTenants",
		"dot":               "PurgeLeavesConfusableTenants",
		"quote":             "PurgeLeavesConfusableTenants",
		"trim":              "PurgeLeavesConfusableTenants",
		"full width":        "PurgeLeavesConfusableTenants",
		"accent":            "PurgeLeavesConfusableTenants",
		"script":            "PurgeLeavesConfusableTenants",
		"invisible":         "PurgeLeavesConfusableTenants",
		"all kinds":         "PurgeLeavesOtherKinds",
		"limit":             "PurgeHonoursLimit",
		"no more":           "MoreIsFalseOnlyWhenNothingIsLeft",
		"ever more":         "PurgeRemovesEverythingInSteps",
		"one too few":       "PurgeCountsExactly",
		"gone is an error":  "UnknownTenantIsEmpty",
		"twice is an error": "PurgeAgainRemovesNothingAndSucceeds",
		"counts requests":   "ConcurrentPurgesOfOneTenantCountOnce",
		"forgets":           "CancelledMidBatchAccountsAndResumes",
		"exaggerates":       "CancelledMidBatchAccountsAndResumes",
		"hangs":             "CancelledContextReturns",
		"absence":           "BrokenSystemIsAnErrorNotAbsence",
		"gives up":          "BrokenSystemIsAnErrorNotAbsence",

		"group counts one":        "GroupCountsTheSum",
		"group limits each":       "GroupPurgesInStepsAndCountsExactly",
		"group forgets the rest":  "GroupPurgesInStepsAndCountsExactly",
		"group takes a neighbour": "GroupLeavesConfusableTenants",
		"one account":             "AccountIsOfThePurgeAlone",
		"account of nothing":      "AccountIsOfThePurgeAlone",
	} {
		t.Run(defect, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestRun_OfADefect$")
			cmd.Env = append(os.Environ(), defectVariable+"="+defect)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the suite passed a target with the defect %q", defect)
			}
			if want := "--- FAIL: TestRun_OfADefect/" + test; !strings.Contains(string(out), want) {
				t.Errorf("%s did not fail:\n%s", test, out)
			}
		})
	}
}
