// Package boltstore keeps tenants, their resources and all evidence in one
// bbolt file.
//
// # Layout
//
//	meta      format, schema, counters and gates; see layout.go
//	ids       tenant id -> place in its tree, or its tombstone
//	trees     one flat bucket for each tree, and more for a large one; see tree.go
//	due       date, id -> place: disabled tenants without a block
//	blocked   date, id -> place: disabled tenants with a block on record
//	purging   next attempt, id -> place: claimed tenants that are not failed
//	audit     sequence number -> entry
//	receipts  id of the tenant at the top of a claim -> receipt
//	window    instant -> tenants that claims took then
//	runs      sequence number -> pass
//
//	approvals   when it is forgotten, id -> digest of what is asked for, approval
//	replays     digest of a key -> call under way, or its answer
//	replayends  when it is forgotten, digest -> nothing
//
// A tree (a root tenant and all its descendants) is a bucket, so that purging
// it is one DeleteBucket in the transaction that also writes the evidence.
//
// # Transactions
//
// All changes go through one goroutine, which runs what is queued in shared
// transactions and so shares their fsyncs. Changes by people go before the work
// of purges and imports, whose transactions aim at [Options.TxTarget]. An error
// of a commit leaves its outcome unknown: the store then refuses everything
// until it is opened again.
//
// # Gate
//
// [Store.LoadAccess] keeps of every tenant, purged ones included, what
// [Store.Access] needs in memory: 0.1 to 0.2 GB for a million. Who does not call
// it pays nothing. What a commit changes is told there before the commit is
// acknowledged. A read takes a lock that writers hold for a few hundred changes
// at a time.
//
// # Owner
//
// bbolt's lock on the file makes the process that has the store open its only
// owner (G12). Leases of claims end when the store is closed.
package boltstore
