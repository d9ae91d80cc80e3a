package boltstore

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// hostDigest stands for the host name of a purged tenant, so that the gate goes on
// to refuse it, and the file does not tell it (G13): it is a MAC with a random key of
// the store. Whoever has the file can still test a name that he guesses.
type hostDigest [16]byte

// hostKey is the key of a store.
type hostKey [32]byte

// of returns the digest of a host name in lower case.
func (k *hostKey) of(host string) hostDigest {
	h := hmac.New(sha256.New, k[:])
	_, _ = h.Write([]byte(host)) // a hash takes everything
	return hostDigest(h.Sum(nil))
}

// makeHostKey gives a file its key, unless it has one.
func makeHostKey(tx *bolt.Tx) error {
	m := tx.Bucket(bucketMeta)
	if m.Get(keyHostKey) != nil {
		return nil
	}
	var k hostKey
	_, _ = rand.Read(k[:]) // never fails
	return m.Put(keyHostKey, k[:])
}

// readHostKey reads the key of a file.
func readHostKey(tx *bolt.Tx) (hostKey, error) {
	v := tx.Bucket(bucketMeta).Get(keyHostKey)
	if len(v) != len(hostKey{}) {
		return hostKey{}, fmt.Errorf("the key of host names is missing or damaged: it has %d bytes", len(v))
	}
	return hostKey(v), nil
}

// noteGoneHost keeps the digest of the host name of a tenant that is purged. It
// stays for good, like the id: when a living tenant has the name again, that one
// decides for as long as it does.
func (w *wtx) noteGoneHost(host string) error {
	if host == "" {
		return nil
	}
	d := w.s.hostKey.of(strings.ToLower(host))
	w.goneHosts = append(w.goneHosts, d)
	return w.put(bucketGoneHosts, d[:], []byte{})
}

// goneHosts checks the digests of host names.
func (c *checker) goneHosts() {
	if _, err := readHostKey(c.tx); err != nil {
		c.bad("%w", err)
	}
	cur := c.tx.Bucket(bucketGoneHosts).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		if len(k) != len(hostDigest{}) || len(v) != 0 {
			c.bad("host name %x of a purged tenant is kept with %d bytes", k, len(v))
		}
	}
}
