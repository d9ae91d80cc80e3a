// Package store is purger's domain: tenants, the rules by which they change,
// the claim that begins a purge, the receipt and the audit chain that prove it,
// and the [Store] interface that keeps all of it.
//
// It depends on the standard library alone. Package store/boltstore implements
// the interface on an embedded bbolt file; store/storetest is the suite that
// every implementation passes.
//
// # Guarantees kept here
//
//   - G1, never early: [Store.Claim] refuses a subtree in which anyone was
//     promised a later date, and a tenant whose date is missing or out of range.
//   - G2, cancel wins until the claim: [Store.Update] and [Store.Claim] decide
//     on the same record, one after the other. What a source says undoes a
//     person's reactivation only when it is newer ([Adoption.Overruled]).
//   - G7, acknowledged means durable: every method that changes something
//     returns nil only after the change would survive a power failure.
//   - G8, audited: every change of state commits together with its [Entry], and
//     entries are chained by their hashes.
//   - G9, bounded: limits are counted and enforced inside the claim.
//   - G12, one owner: what writes to a claimed subtree presents the claim's
//     [Token] and is refused once another claim has superseded it.
//
// # Time
//
// Instants are UTC and have a resolution of one millisecond; finer parts are
// cut off on the way in. A zero [time.Time] means "none". No function in this
// package reads the clock: whoever decides reads it once and passes it down.
package store
