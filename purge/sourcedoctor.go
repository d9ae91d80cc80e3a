package purge

import "context"

// Diagnose has the source look for what would make a sync wrong or impossible, or
// checks it if it is no [Doctor]. It changes nothing. The error says that it could
// not look; what was found until then is returned all the same. A source that is
// neither a [Doctor] nor a [Checker] finds nothing.
func (s *Syncer) Diagnose(ctx context.Context) ([]Finding, error) {
	switch v := s.source.(type) {
	case Doctor:
		return v.Diagnose(ctx)
	case Checker:
		return nil, v.Check(ctx)
	}
	return nil, nil
}
