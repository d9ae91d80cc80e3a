package postgrestarget

import (
	"context"
	"regexp"
	"slices"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/store"
)

// purger is a kind that removes rows of the database: of this target, or of another
// one on the same database.
type purger struct {
	target string // "" is this one
	kind   store.Kind
	// Either a table or a statement.
	oid    uint32
	tenant string // the tenant column, quoted
	remove string
}

// name says which kind it is.
func (p purger) name() string {
	if p.target == "" {
		return "kind " + string(p.kind)
	}
	return "kind " + string(p.kind) + " of the target " + p.target
}

// purgers are all that are known.
type purgers []purger

// findPurgers looks up the tables of all targets on the database.
func (d *diagnosis) findPurgers(ctx context.Context) error {
	for _, kind := range d.target.kinds {
		switch src := d.schema.sources[kind]; {
		case src.own != nil:
			d.purgers = append(d.purgers, purger{kind: kind, remove: src.own.remove})
		case src.table != nil:
			d.purgers = append(d.purgers, purger{kind: kind, oid: src.table.oid, tenant: src.table.tenant})
		}
	}
	for _, other := range d.target.beside {
		for _, kind := range store.Kinds() {
			k, ok := other.Kinds[kind]
			if !ok {
				continue
			}
			p := purger{target: other.Name, kind: kind, tenant: quote(k.Tenant), remove: k.Delete}
			if name, err := parseName(k.Table); k.Table != "" && err == nil {
				err := d.conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.to_regclass($1)::oid, 0)", name.Sanitize()).Scan(&p.oid)
				if err != nil && asPgError(err) == nil { // or else it is that target's to tell
					return err
				}
			}
			d.purgers = append(d.purgers, p)
		}
	}
	return nil
}

// kindsOf returns for which kinds of this target a table is purged, in the order of
// removal.
func (ps purgers) kindsOf(tbl *table) (kinds []store.Kind) {
	for _, p := range ps {
		if p.target == "" && p.oid == tbl.oid {
			kinds = append(kinds, p.kind)
		}
	}
	return kinds
}

// of returns who removes rows of a table. Of statements of an operator's own it is
// known that they name it.
func (ps purgers) of(oid uint32, name string) (found purgers) {
	for _, p := range ps {
		if p.oid == oid || p.mentions(name) {
			found = append(found, p)
		}
	}
	return found
}

// haveOwn reports whether any has a statement of the operator's own.
func (ps purgers) haveOwn() bool {
	return slices.ContainsFunc(ps, func(p purger) bool { return p.remove != "" })
}

// mention reports whether a statement of the operator's own names a table.
func (ps purgers) mention(table string) bool {
	return slices.ContainsFunc(ps, func(p purger) bool { return p.mentions(table) })
}

// mentions reports whether it is a statement that has the name of a table as a word.
func (p purger) mentions(table string) bool {
	return p.remove != "" && regexp.MustCompile(`(?i)(^|\W)`+regexp.QuoteMeta(table)+`(\W|$)`).MatchString(p.remove)
}

// before reports whether a kind is purged before another one.
func before(a, b store.Kind) bool {
	return slices.Index(store.Kinds(), a) < slices.Index(store.Kinds(), b)
}

// shared looks for tables that two kinds purge.
func (d *diagnosis) shared() {
	for i, a := range d.purgers {
		for _, b := range d.purgers[i+1:] {
			if a.target != "" || a.oid == 0 || a.oid != b.oid {
				continue
			}
			severity, text := purge.SeverityWarning, "%s and %s purge rows of the same table, by different columns: want each row to be of one kind"
			if a.tenant == b.tenant {
				severity, text = purge.SeverityError, "%s and %s purge the same rows: they are counted twice, and on the receipt they are of the kind that comes first; want each row to be of one kind, in one target"
			}
			d.add(severity, d.schema.sources[a.kind].table.name, "", text, a.name(), b.name())
		}
	}
}
