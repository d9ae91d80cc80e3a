package scimtarget

import (
	"context"
	"fmt"

	"github.com/tenantpurge/purger/purge"
)

var (
	_ purge.Target  = (*Target)(nil)
	_ purge.Checker = (*Target)(nil)
	_ purge.Doctor  = (*Target)(nil)
)

// Check implements [purge.Checker]: every endpoint answers a filter on its
// attribute, which something shows to be one.
func (t *Target) Check(ctx context.Context) error {
	v, err := t.visit(ctx)
	if err != nil {
		return err
	}
	for _, e := range t.endpoints {
		if _, err := t.list(ctx, v, e, "purger.check", 1); err != nil {
			return err
		}
		if err := t.prove(ctx, v, e); err != nil {
			return err
		}
	}
	return nil
}

// Diagnose implements [purge.Doctor]: what [Target.Check] says, with its error, and then
// what rests on trust or makes a purge slow.
func (t *Target) Diagnose(ctx context.Context) ([]purge.Finding, error) {
	if err := t.Check(ctx); err != nil {
		return []purge.Finding{{
			Severity: purge.SeverityError, Subject: t.cfg.BaseURL, Text: err.Error(),
			Fix: "mend the configuration, the credentials or the server",
		}}, err
	}
	p, err := t.discover(ctx)
	if err != nil {
		return nil, err
	}
	var found []purge.Finding
	for _, e := range t.endpoints {
		switch {
		case !p.known[e.path]:
			found = append(found, purge.Finding{
				Severity: purge.SeverityWarning, Subject: e.path,
				Text: fmt.Sprintf("the server does not describe %s: %s", e.attr, e.evidence()),
				Fix:  "compare a count with what the directory shows",
			})
		case !p.exact[e.path]:
			found = append(found, purge.Finding{
				Severity: purge.SeverityWarning, Subject: e.path,
				Text: fmt.Sprintf("%s is not case-exact: tenants that differ in case are listed together, and a count reads every page", e.attr),
				Fix:  "declare the attribute with caseExact: true",
			})
		}
	}
	switch {
	case !p.told:
		found = append(found, purge.Finding{Severity: purge.SeverityInfo, Subject: "ServiceProviderConfig", Text: "the server has none; resources are removed one by one"})
	case !p.bulk:
		found = append(found, purge.Finding{Severity: purge.SeverityInfo, Subject: "Bulk", Text: "not offered or not used; resources are removed one by one"})
	default:
		found = append(found, purge.Finding{Severity: purge.SeverityInfo, Subject: "Bulk", Text: fmt.Sprintf("up to %d operations and %d bytes a request", p.operations, p.payload)})
	}
	return found, nil
}
