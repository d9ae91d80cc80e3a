//go:build !linux

package boltstore

import bolt "go.etcd.io/bbolt"

// resident does not know.
func resident(*bolt.Tx, int) bool { return false }
