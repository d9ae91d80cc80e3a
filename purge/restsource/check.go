package restsource

import (
	"context"
	"errors"

	"github.com/tidwall/gjson"

	"github.com/tenantpurge/purger/purge"
)

var (
	_ purge.Checker = (*Source)(nil)
	_ purge.Doctor  = (*Source)(nil)
)

// errEnough ends a list of which no more is wanted.
var errEnough = errors.New("enough")

// Check asks for the first page, and for those below the first tenant in it. It
// implements [purge.Checker].
func (s *Source) Check(ctx context.Context) error {
	p := pages{paging: s.cfg.List.Paging}
	req := s.list
	var err error
	if req.URL, err = p.first(req.URL); err != nil {
		return err
	}
	a, err := s.do(ctx, req)
	if err != nil {
		return err
	}
	body, err := success(req, a)
	if err != nil {
		return err
	}
	items := at(body, s.cfg.List.Items)
	if !items.IsArray() {
		return unusable(req, a, "no array at %q", s.cfg.List.Items)
	}
	if !s.TellsChildren() {
		return nil
	}
	items.ForEach(func(_, v gjson.Result) bool {
		r := s.cfg.row(v)
		if r.Tenant.ID == "" {
			return true
		}
		err = s.below(ctx, r.Tenant.ID, func(purge.SourceRow) error { return errEnough })
		return false
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Diagnose implements [purge.Doctor]. It is [Source.Check], and tells of what the API
// is not asked.
func (s *Source) Diagnose(ctx context.Context) ([]purge.Finding, error) {
	var found []purge.Finding
	if !s.TellsChildren() && s.cfg.Fields.Parent != "" {
		found = append(found, purge.Finding{
			Severity: purge.SeverityInfo, Subject: "children",
			Text: "there is no children.url: a sub-tenant that is new since the last sync does not keep the tenant above it from being purged",
		})
	}
	return found, s.Check(ctx)
}
