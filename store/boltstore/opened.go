package boltstore

import (
	bolt "go.etcd.io/bbolt"
)

// opened holds the trees and tenants that a transaction has open, for one that
// touches the same ones many times. The records must not change meanwhile.
type opened struct {
	tx      *bolt.Tx
	trees   map[uint64]*tree
	tenants map[string]openTenant
	touch   func(*tree) // is told what is opened
}

type openTenant struct {
	at  spot
	rec *record
}

// newOpened is for a transaction that only reads.
func newOpened(tx *bolt.Tx) *opened {
	return &opened{tx: tx, trees: map[uint64]*tree{}, tenants: map[string]openTenant{}, touch: func(*tree) {}}
}

func (w *wtx) opened() *opened {
	o := newOpened(w.tx)
	o.touch = w.touch
	return o
}

// find is like the function of that name.
func (o *opened) find(id string) (spot, *record, error) {
	if t, ok := o.tenants[id]; ok {
		return t.at, t.rec, nil
	}
	p, err := findPlace(o.tx, id)
	if err != nil {
		return spot{}, nil, err
	}
	t := o.trees[p.tree]
	if t == nil {
		if t, err = openTree(o.tx, p.tree); err != nil {
			return spot{}, nil, err
		}
		o.trees[p.tree] = t
		o.touch(t)
	}
	r, err := t.record(p.ord)
	if err != nil {
		return spot{}, nil, err
	}
	at := spot{p, t}
	o.tenants[id] = openTenant{at, r}
	return at, r, nil
}

// save saves the trees that were changed.
func (o *opened) save() error {
	for _, t := range o.trees {
		if err := t.save(); err != nil {
			return err
		}
	}
	return nil
}
