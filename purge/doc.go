// Package purge decides what a purge does: it takes what is due from the store,
// claims it, removes it from every target in the right order, verifies that
// nothing is left, and lets the store write tombstone and receipt.
//
// [Engine.Run] is one pass, [Engine.Plan] the dry run by the same path, and
// [Engine.Delete] the deletion of one tenant at once. When a pass runs is not
// decided here, but in package scheduler.
//
// # Guarantees kept here
//
//   - G3, access first, tenant last: a cascade goes through the kinds in the
//     order of [store.Kinds], in each kind through the tenants from the deepest,
//     in all targets; the resources in the store and the tenants' own records go
//     last, with the receipt.
//   - G5, resumable, idempotent, exact: what a call of a target removed is
//     recorded before the next call is made. Where an answer may have been lost
//     the receipt says that its counts are not exact.
//   - G6, verified empty: a purge is finished only after a count in every
//     target said zero, for every tenant of the subtree and every kind. Where
//     much less was removed than was counted, it has to say so again, in a
//     later attempt, unless it is a [Witness].
//   - G9, bounded: every claim of a pass draws on one quota and on the limits;
//     the first refusal ends the pass.
//   - G11, one broken thing stays one: an error, a time-out or a panic in a
//     target ends the attempt for that kind in that target alone. The tenant is
//     tried again with backoff and jitter, and failed once its attempts are
//     spent. A tenant that takes long holds one of [Settings.Concurrency] places
//     and no more, gives it up to others after each turn of ten seconds, and what
//     becomes due meanwhile is purged beside it. Up to 16 times as many as there
//     are places may be in the midst of their purge and wait for a turn.
//
// G1, G2 and G7 rest on the store: the engine deletes nothing that
// [store.Store.Claim] did not give it, and decides no date itself.
//
// # Sources
//
// Which tenants exist, and which of them are disabled, may be said by a system
// of the platform's own: a [Source]. A [Syncer] takes its snapshots over, but for
// what a person's reactivation overrules, and refuses those that change too much;
// an [Engine] with a source asks it once more before it claims a tenant, and
// purges nothing that it does not confirm.
//
// # Targets
//
// Resources in other systems are reached through a [Target]. What the store
// holds itself needs none; without targets a purge is a single transaction.
//
// One that is a [SubscriptionCounter] is asked, right before a claim, about everybody
// who would go with it: a tenant that still pays is not claimed, nor is one about
// whom there is no answer, and nobody else waits for that.
//
// [Guarded] puts a [Policy] around one: how many calls are under way, how many
// requests they make in a second (see [Pace]), their time-out, retries within a
// step, a breaker, and a window outside which nothing is removed. The policy can be
// changed while the engine runs. A target that must not be called now puts a purge
// off, with [PostponedError]; that is no attempt of the purge, which goes on when
// the target may be called again. [Engine.Progress] tells how far each is.
//
// # Files
//
//   - engine, settings: the engine. report, rows, trigger: what a pass says.
//   - pass, candidates, climb, places, gates, objection, conclude: one pass. plan: the
//     dry run. delete: a person's deletion. family: who is below a tenant.
//   - confirm*: the question to the source before a claim. subscriptions: that to
//     targets.
//   - work, failure, reconsider: a claim from its begin to its end. cascade, lease,
//     account, ration, unaccounted, progress: its work in the targets.
//   - target, capabilities, group: what a target is. call, attempt: one call of it.
//   - guard*: the policy around a target, and who has to wait for it.
//   - source*: a source, and all that a sync of it does.
//   - wait, printable: what several use.
package purge
