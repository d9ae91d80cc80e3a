package purge

// Trigger is what set off a pass. It goes into the report, the audit trail and
// a label of the metrics.
type Trigger string

// The triggers.
const (
	TriggerSchedule Trigger = "schedule" // the cron schedule
	TriggerStartup  Trigger = "startup"  // the daemon came up and something was due
	TriggerSignal   Trigger = "signal"   // SIGUSR1
	TriggerAPI      Trigger = "api"      // POST /api/v1/purges, and immediate deletions
	TriggerRun      Trigger = "run"      // purger run
	TriggerCatchUp  Trigger = "catchup"  // a scheduled run that was missed is made up for
	// TriggerRetry is a purge that was claimed before and can be resumed: its
	// next attempt has come, a person retried it, or its owner's lease ended.
	// Such a pass claims nothing new: when to do that, the schedule decides.
	TriggerRetry Trigger = "retry"
	TriggerPlan  Trigger = "plan" // a dry run
)

// Triggers returns every trigger of a pass that purges, and then the plan.
func Triggers() []Trigger {
	return []Trigger{TriggerSchedule, TriggerStartup, TriggerSignal, TriggerAPI, TriggerRun, TriggerCatchUp, TriggerRetry, TriggerPlan}
}
