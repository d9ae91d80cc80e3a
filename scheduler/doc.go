// Package scheduler decides when purge passes run. It reads schedules in the
// syntax of robfig/cron, and lets one pass run at a time, whatever sets it off:
// the schedule, the start of the daemon, a signal, a call of the API.
//
// A schedule is only a wake-up: which tenants are due, the stored dates tell. A
// scheduled instant that the process slept through, because the machine was
// suspended or its clock was set, is made up for once, within a heartbeat.
//
// What was claimed does not wait for the schedule. When the next attempt on a
// purge comes, when the lease of an owner that vanished ends, or when a person
// retries what failed, a pass begins that resumes it and claims nothing new.
//
// # Guarantees kept here
//
//   - Passes never overlap. While one runs, at most one waits.
//   - A [Ticket] is for a pass that began after the trigger; triggers that come
//     while one waits share its pass and its report.
//   - G11, one broken thing stays one: a pass that panics is an error in the
//     log, the metrics and its tickets, and the next one runs as if it had not.
//   - A store that fails ends [Scheduler.Run] with its error, since what is on
//     disk is then unknown until the store is opened again.
//
// # Time
//
// Instants are compared on the wall clock, never on the monotonic one, which
// stands still while the machine sleeps. Only [Status.LastBeat] is monotonic.
package scheduler
