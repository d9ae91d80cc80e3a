package resttarget

import (
	"context"
	"strings"

	"github.com/tenantpurge/purger/purge"
	"github.com/tenantpurge/purger/purge/httpcall"
	"github.com/tenantpurge/purger/store"
)

// probe is the id of a tenant that no API knows.
const probe = "purger-probe"

// Check implements [purge.Checker]: it asks for the resources of each kind, and the
// subscriptions, of a tenant that does not exist.
func (t *Target) Check(ctx context.Context) error {
	for _, p := range t.sections() {
		if _, err := t.check(ctx, p.kind); err != nil {
			return store.Errorf(store.CodeOf(err), "%s: %w", strings.TrimPrefix(p.at, "kinds."), err)
		}
	}
	return nil
}

// check asks for a count, and for one page of a list. It is an error when the API has
// something for a tenant that does not exist and nothing else says whose that is.
// doubt is what the page leaves open.
func (t *Target) check(ctx context.Context, c *kind) (doubt string, err error) {
	if c.list != nil {
		w, err := t.probeList(ctx, c.list)
		if err != nil {
			return "", err
		}
		doubt = w.doubt()
	}
	if c.count != nil {
		err = t.probeCount(ctx, c.count)
	}
	return doubt, err
}

// Diagnose implements [purge.Doctor]: what [Target.Check] says of each kind, what rests
// on trust, and what makes a purge slow. That the API does not answer is a finding; the
// error is that of ctx.
func (t *Target) Diagnose(ctx context.Context) ([]purge.Finding, error) {
	var wrong, doubtful, other []purge.Finding
	var failed error
	for _, p := range t.sections() {
		subject, k := p.at, p.kind
		doubt, err := t.check(ctx, k)
		if doubt != "" {
			doubtful = append(doubtful, purge.Finding{Severity: purge.SeverityWarning, Subject: subject + ".list.owner", Text: doubt,
				Fix: "see whether owner is the path of the tenant's id in an item"})
		}
		if err != nil {
			failed = httpcall.Graver(failed, err)
			wrong = append(wrong, purge.Finding{Severity: purge.SeverityError, Subject: subject, Text: err.Error(),
				Fix: "see to the URL, the credentials and the selectors of this kind"})
		}
		if k.list != nil && k.list.Owner == "" {
			doubtful = append(doubtful, purge.Finding{Severity: purge.SeverityWarning, Subject: subject + ".list.owner",
				Text: "nothing proves that what the API lists belongs to the tenant that it was asked about",
				Fix:  "set owner to the path of the tenant's id in an item"})
		}
		if k.list != nil && !k.list.filtered {
			doubtful = append(doubtful, purge.Finding{Severity: purge.SeverityWarning, Subject: subject + ".list.url",
				Text: "the list is everybody's: every purge reads all of it",
				Fix:  "name the {tenant} in it, if the API can filter"})
		}
		if k.purge != nil && k.purge.Deleted == "" {
			other = append(other, purge.Finding{Severity: purge.SeverityInfo, Subject: subject + ".purge.deleted",
				Text: "the API does not say how many it removed; they are counted before and after"})
		}
	}
	if t.cfg.Insecure {
		doubtful = append(doubtful, purge.Finding{Severity: purge.SeverityWarning, Subject: "insecure",
			Text: "credentials may go over the network unencrypted", Fix: "use https://"})
	}
	return append(append(wrong, doubtful...), other...), ctxError(ctx, failed)
}

// ctxError returns err when it is because the context ended, which is no
// finding about the system.
func ctxError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return nil
}
