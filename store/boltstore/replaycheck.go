package boltstore

// replays checks every kept answer against the index of ends and the totals.
func (c *checker) replays() {
	var t replayTotals
	owners := map[[ownerBytes]byte]replayTotals{}
	tenants := map[string]bool{}
	ends := c.tx.Bucket(bucketReplayEnds)
	cur := c.tx.Bucket(bucketReplays).Cursor()
	for k, v := cur.First(); k != nil && c.ended() == nil; k, v = cur.Next() {
		t.n++
		t.bytes += uint64(len(v))
		r, err := decodeReplay(v)
		if err != nil || len(k) != 32 {
			c.bad("kept answer %x: %w", k, err)
			continue
		}
		if ends.Get(indexKey(r.end(), string(k))) == nil {
			c.bad("kept answer %x is not in the index of ends", k)
		}
		o := owners[r.owner]
		owners[r.owner] = replayTotals{o.n + 1, o.bytes + uint64(len(v))}
		if at := r.tenantKey([32]byte(k)); at != nil {
			tenants[string(at)] = true
			if v := c.tx.Bucket(bucketIDs).Get([]byte(r.answer.TenantID)); v != nil && v[0] == idTombstone {
				c.bad("kept answer %x still has what it told of tenant %q, which is purged", k, r.answer.TenantID)
			}
		}
	}
	c.sameKeys(bucketReplayTenants, "answers by tenant", len(tenants), func(k, _ []byte) bool { return tenants[string(k)] })
	c.sameKeys(bucketReplayOwners, "answers by owner", len(owners), func(k, v []byte) bool {
		return len(k) == ownerBytes && owners[[ownerBytes]byte(k)] == decodeReplayTotals(v)
	})
	var n uint64
	cur = ends.Cursor()
	for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
		n++
	}
	if kept := replaysOf(c.tx); n != t.n || kept != t {
		c.bad("answers: %d are kept and %d will be forgotten; %+v on record, %+v counted", t.n, n, kept, t)
	}
}

// sameKeys checks that a bucket has want entries, each of which is right.
func (c *checker) sameKeys(bucket []byte, what string, want int, right func(k, v []byte) bool) {
	n := 0
	cur := c.tx.Bucket(bucket).Cursor()
	for k, v := cur.First(); k != nil; k, v = cur.Next() {
		n++
		if !right(k, v) {
			c.bad("%s: %x is not right", what, k)
		}
	}
	if n != want {
		c.bad("%s: %d are on record, %d counted", what, n, want)
	}
}
